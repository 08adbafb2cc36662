"""Registration of the Node, and its heartbeat.

The capacity is simulated: it makes requests, scheduling and in-place resize behave as on a cluster,
but nothing limits the CPU time that containers use.
"""

import asyncio
import os
import platform
from dataclasses import dataclass, field
from datetime import UTC, datetime

from aiapi_sandbox.apimachinery.errors import ApiError, Obj
from aiapi_sandbox.apimachinery.timestamps import format_micro_time
from aiapi_sandbox.kinds.resources import LEASES, NAMESPACES, NODES
from aiapi_sandbox.storage.store import Store

HEARTBEAT_SECONDS = 10.0
LEASE_NAMESPACE = "kube-node-lease"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def machine_memory() -> str:
    """The machine's memory, as a kubelet reports it."""
    return f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') // 1024}Ki"


@dataclass(frozen=True, kw_only=True)
class NodeCapacity:
    """The node's simulated capacity: by default, the machine's cores and memory."""

    cpu: str = field(default_factory=lambda: str(os.cpu_count() or 1))
    memory: str = field(default_factory=machine_memory)
    storage: str = "100Gi"
    pods: str = "500"

    def to_resource_list(self) -> dict[str, str]:
        """Return a ResourceList."""
        return {
            "cpu": self.cpu,
            "memory": self.memory,
            "ephemeral-storage": self.storage,
            "pods": self.pods,
        }


def node_object(name: str, capacity: NodeCapacity, *, address: str, now: str) -> Obj:
    """Return the Node object, as a kubelet registers it."""
    architecture = _ARCHITECTURES.get(platform.machine(), platform.machine())
    system = {"kubernetes.io/os": "linux", "kubernetes.io/arch": architecture}
    return {
        "metadata": {
            "name": name,
            "labels": system | {"kubernetes.io/hostname": name},
        },
        "spec": {"providerID": f"sandbox://{name}"},
        "status": node_status(name, capacity, address=address, now=now, architecture=architecture),
    }


def node_status(
    name: str, capacity: NodeCapacity, *, address: str, now: str, architecture: str
) -> Obj:
    """Return the status of a healthy node with the simulated capacity."""
    healthy = {
        "MemoryPressure": ("False", "KubeletHasSufficientMemory"),
        "DiskPressure": ("False", "KubeletHasNoDiskPressure"),
        "PIDPressure": ("False", "KubeletHasSufficientPID"),
        "Ready": ("True", "KubeletReady"),
    }
    return {
        "capacity": capacity.to_resource_list(),
        "allocatable": capacity.to_resource_list(),
        "addresses": [
            {"type": "InternalIP", "address": address},
            {"type": "Hostname", "address": name},
        ],
        "conditions": [
            {
                "type": kind,
                "status": status,
                "reason": reason,
                "message": "simulated by the sandbox",
                "lastHeartbeatTime": now,
                "lastTransitionTime": now,
            }
            for kind, (status, reason) in healthy.items()
        ],
        "nodeInfo": {
            "architecture": architecture,
            "operatingSystem": "linux",
            "kernelVersion": platform.release(),
            "osImage": "aiapi sandbox (local processes)",
            "containerRuntimeVersion": "sandbox://1",
            "kubeletVersion": "v1.36.0-sandbox",
            "kubeProxyVersion": "",
            "machineID": "",
            "systemUUID": "",
            "bootID": "",
        },
    }


class NodeRegistration:
    """Creates the Node and renews its heartbeat."""

    def __init__(self, store: Store, name: str, capacity: NodeCapacity, *, address: str) -> None:
        self._store = store
        self._name = name
        self._capacity = capacity
        self._address = address

    def register(self) -> None:
        """Create the Node and its Lease."""
        node = node_object(self._name, self._capacity, address=self._address, now=self._store.now())
        status = node["status"]
        self._store.create(NODES, node)

        def fill(found: Obj) -> None:
            found["status"] = status

        self._store.mutate(NODES, None, self._name, fill, "status")
        if self._store.find(NAMESPACES, None, LEASE_NAMESPACE) is None:
            self._store.create(NAMESPACES, {"metadata": {"name": LEASE_NAMESPACE}})
        lease = {
            "metadata": {"name": self._name, "namespace": LEASE_NAMESPACE},
            "spec": {"holderIdentity": self._name, "leaseDurationSeconds": 40} | _renew_time(),
        }
        self._store.create(LEASES, lease)

    async def run(self) -> None:
        """Renew the heartbeat until cancelled."""
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            try:
                self._store.mutate(LEASES, LEASE_NAMESPACE, self._name, _renew)
                self._store.mutate(NODES, None, self._name, self._update_heartbeat, "status")
            except ApiError:
                continue  # a user deleted the Node or its Lease

    def _update_heartbeat(self, node: Obj) -> None:
        for condition in node["status"]["conditions"]:
            condition["lastHeartbeatTime"] = self._store.now()


def _renew(lease: Obj) -> None:
    lease["spec"] |= _renew_time()


def _renew_time() -> Obj:
    return {"renewTime": format_micro_time(datetime.now(UTC))}
