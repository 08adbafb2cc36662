"""Faults of the room that a fleet has: full nodes, quotas, and a load that needs more than fits."""

import json
from dataclasses import dataclass
from typing import Any

from e2e_support.assistant import deploy_llm
from e2e_support.cluster import Cluster
from e2e_support.fault import RECOVERY, Steady
from e2e_support.fault_fleet import NAME, RATE, deploy
from e2e_support.fault_load import start_steady_load
from e2e_support.kubectl import eventually
from e2e_support.kubectl_proxy import ApiReader
from e2e_support.load import RESTRICTED

WORKER_CPU = 100
"""Millicores of each worker."""
LEAST, MOST = 3, 6
"""Workers of the one pod of `start_in_place`."""
MOST_PODS = 6
"""``replicas.max`` of the AIApi that scenarios share; its load needs fewer."""
MOST_GROWTH = 2 * MOST_PODS
"""Workers of that AIApi at its maximum."""
IN_PLACE_WORKERS = {
    "min": LEAST,
    "max": MOST,
    "cpu": f"{WORKER_CPU}m",
    "memory": "64Mi",
    "resources": "Fixed",
}
LIGHT_LOOP_MS = "20"
"""The load needs fewer workers than the minimum, so that only a schedule asks for more."""
_UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "k": 1000, "M": 10**6, "G": 10**9}


def start_in_place(cluster: Cluster, read: ApiReader, **spec: Any) -> Steady:
    """One pod that can only grow by workers, under steady load."""
    wanted: dict[str, Any] = {"workers": IN_PLACE_WORKERS, "replicas": {"min": 1, "max": 1}}
    llm = deploy_llm(cluster)
    env = [{"name": "LLM_URL", "value": llm}, {"name": "ASSISTANT_LOOP_MS", "value": LIGHT_LOOP_MS}]
    deploy(cluster, llm, **{**wanted, "env": env, **spec})
    load = start_steady_load(cluster, service=NAME, rate=RATE)
    return Steady(cluster=cluster, name=NAME, load=load, read=read, needed=LEAST, planned=1)


def ask(steady: Steady, *, workers: int = 1, replicas: int = 1) -> None:
    """A schedule asks for so many workers and pods."""
    floor = {"name": "fault", "start": "* * * * *", "duration": "24h"}
    floor |= {"minWorkers": workers, "minReplicas": replicas}  # type: ignore[dict-item]
    edit(steady, {"scaling": {"schedules": [floor]}})


def ask_nothing(steady: Steady) -> None:
    """End the schedule."""
    edit(steady, {"scaling": {"schedules": []}})


def edit(steady: Steady, spec: dict[str, Any]) -> None:
    """Change the AIApi's spec."""
    patch = json.dumps({"spec": spec})
    steady.cluster.kubectl("patch", "aiapi", steady.name, "--type=merge", "-p", patch)


def wait_workers(steady: Steady, workers: int, *, within: float = RECOVERY) -> None:
    """Wait until a pod has the CPU for so many workers, and runs them."""
    eventually(
        lambda: (
            steady.size().workers == workers
            and granted_cpu(steady) == {workers * WORKER_CPU}
            and steady.cluster.status(steady.name).get("workers") == workers
        ),
        within=within,
        what=f"{workers} workers",
        state=lambda: (steady.size(), granted_cpu(steady), steady.cluster.status(steady.name)),
    )


def granted_cpu(steady: Steady) -> set[float]:
    """The millicores that the kubelets have granted to the app containers."""
    found = set()
    for pod in steady.cluster.pods(steady.name):
        for status in pod["status"].get("containerStatuses", ()):
            if status["name"] == "app":
                amount = status.get("resources", {}).get("requests", {}).get("cpu", "0")
                found.add(number(amount) * 1000)
    return found


def wait_reason(
    steady: Steady, kind: str, reason: str, *, within: float = RECOVERY, status: str = "True"
) -> str:
    """Wait for a condition with this reason. Returns its message."""

    def look() -> str:
        found = steady.cluster.condition(steady.name, kind)
        is_it = (found.get("status"), found.get("reason")) == (status, reason)
        return str(found["message"]) if is_it else ""

    return eventually(
        look,
        within=within,
        what=f"{kind}={status} {reason}",
        state=lambda: steady.cluster.status(steady.name),
    )


@dataclass(frozen=True, kw_only=True)
class Node:
    """The node that runs the AIApi's first pod."""

    name: str
    free_cpu: float


def node_of(steady: Steady) -> Node:
    pods = steady.cluster.pods(steady.name)
    name = pods[0]["spec"]["nodeName"]
    allocatable = steady.cluster.kubectl.json("node", name)["status"]["allocatable"]
    everywhere = steady.cluster.kubectl.json("pods", "-A")["items"]
    used = sum(
        number(container.get("resources", {}).get("requests", {}).get("cpu", "0"))
        for pod in everywhere
        if pod["spec"].get("nodeName") == name
        and pod["status"].get("phase") not in {"Succeeded", "Failed"}
        for container in pod["spec"]["containers"]
    )
    return Node(name=name, free_cpu=number(allocatable["cpu"]) - used)


def memory_for(share: float, cluster: Cluster) -> int:
    """A share of the memory of the largest node, in MiB."""
    nodes = cluster.kubectl.json("nodes")["items"]
    return int(share * max(number(each["status"]["allocatable"]["memory"]) for each in nodes)) >> 20


def number(quantity: str) -> float:
    """A Kubernetes quantity."""
    if quantity.endswith("m"):
        return int(quantity[:-1]) / 1000
    for suffix, factor in _UNITS.items():
        if quantity.endswith(suffix):
            return float(quantity.removesuffix(suffix)) * factor
    return float(quantity)


def fill_node(steady: Steady, *, leave: int) -> None:
    """A pod takes the CPU of the node, but for some millicores."""
    node = node_of(steady)
    amount = int(node.free_cpu * 1000) - leave
    assert amount > 0, f"the node is too full for this scenario: {node}"
    steady.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(_filler(steady, node, amount)))
    steady.cluster.kubectl("wait", "--for=condition=Ready", "pod/filler", "--timeout=60s")


def free_node(steady: Steady) -> None:
    """The pod ends."""
    steady.cluster.kubectl("delete", "pod", "filler", "--grace-period=1")


def _filler(steady: Steady, node: Node, millicores: int) -> dict[str, Any]:
    container = {
        "name": "filler",
        "image": steady.cluster.image,
        "command": ["sleep", "3600"],
        "resources": {"requests": {"cpu": f"{millicores}m"}},
        "securityContext": RESTRICTED,
    }
    spec = {
        "nodeSelector": {"kubernetes.io/hostname": node.name},
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "filler"}, "spec": spec}
