"""The pod worker: runs one pod from its binding to its removal."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiapi_sandbox.apimachinery.errors import ApiError, Obj
from aiapi_sandbox.events import ComponentEventRecorder
from aiapi_sandbox.kinds.resources import PODS
from aiapi_sandbox.node import pod_status
from aiapi_sandbox.node.allocations import Allocation, Allocations, PendingResize
from aiapi_sandbox.node.backoff import BackoffPolicy
from aiapi_sandbox.node.container import KILL_GRACE, ContainerRunner, PodContext
from aiapi_sandbox.node.images import ImageStore
from aiapi_sandbox.node.pod_addresses import AddressPool
from aiapi_sandbox.node.pod_files import CredentialIssuer, PodFiles
from aiapi_sandbox.node.volumes import VolumeError
from aiapi_sandbox.storage.store import Store

logger = logging.getLogger(__name__)
VOLUME_RETRY = 1.0
STATUS_DELAY = 0.01
JsonObject = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class NodeServices:
    """The services that all pods of the node share."""

    store: Store
    events: ComponentEventRecorder
    images: ImageStore
    addresses: AddressPool
    folder: Path
    host_ip: str
    allocatable: Mapping[str, str]
    allocations: Allocations
    backoff: BackoffPolicy
    issuer: CredentialIssuer


class PodWorker:
    """Runs one pod. The kubelet runs `run` in a task."""

    def __init__(self, pod: Obj, node: NodeServices) -> None:
        self._node = node
        self._pod = pod
        self._started = datetime.now(UTC)
        self._changed = asyncio.Event()
        self._deleting = asyncio.Event()
        self._removed = asyncio.Event()
        self._volumes_ready = False
        self._resize: PendingResize | None = None
        self._ip = node.addresses.allocate(_ports(pod))
        self._files = PodFiles(
            pod,
            node.folder / pod["metadata"]["uid"],
            store=node.store,
            issuer=node.issuer,
            allocatable=node.allocatable,
        )
        spec = pod["spec"]
        self.init = [self._runner(c, init=True) for c in spec.get("initContainers") or ()]
        self.main = [self._runner(c) for c in spec["containers"]]
        for runner in self.main if self.init else ():
            runner.status.set_waiting("PodInitializing")
        self.update(pod)

    # --- called by the kubelet

    def update(self, pod: Obj) -> None:
        """Process a new version of the pod."""
        self._pod = pod
        if not self._deleting.is_set():
            self._node.allocations.update(pod, self._on_allocation)
        if pod["metadata"].get("generation") != pod.get("status", {}).get("observedGeneration"):
            self._changed.set()
        if "deletionTimestamp" in pod["metadata"]:
            self._deleting.set()

    def _on_allocation(self, allocated: Allocation) -> None:
        """The kubelet has granted or put off a resize."""
        for runner in self.main:
            runner.status.resources = allocated.resources[runner.status.name]
        self._resize = allocated.pending
        self._changed.set()

    def terminate(self) -> None:
        """Terminate the pod because the sandbox stops."""
        self._deleting.set()

    def abort(self) -> None:
        """Kill the pod because it was removed from the API."""
        self._removed.set()
        self._deleting.set()

    # --- pod lifecycle

    async def run(self) -> None:
        """Run the containers until the pod is deleted, then clean up."""
        status_sync = asyncio.create_task(self._sync_status())
        lifecycle = asyncio.create_task(self._run_containers())
        try:
            await self._deleting.wait()
            await self._terminate()
            await lifecycle
        finally:
            for task in (lifecycle, status_sync):
                task.cancel()
            await asyncio.gather(lifecycle, status_sync, return_exceptions=True)
            self._node.addresses.release(self._ip)
            self._node.allocations.release(self._pod)
            await asyncio.to_thread(self._files.remove)
        self._update_status()
        self._remove()

    async def _run_containers(self) -> None:
        self._changed.set()
        try:
            if not await self._set_up_volumes() or not await self._pull_image_volumes():
                return
            async with asyncio.TaskGroup() as sidecars:
                if not await self._initialize(sidecars):
                    return
                self._changed.set()
                async with asyncio.TaskGroup() as group:
                    for runner in self.main:
                        group.create_task(runner.run())
                await self._stop_sidecars(self._grace())
        except ExceptionGroup:
            logger.exception("pod %s failed", self._pod["metadata"]["name"])

    async def _initialize(self, sidecars: asyncio.TaskGroup) -> bool:
        """Run the init containers in order. A sidecar keeps running when it has started."""
        for runner in self.init:
            if runner.status.is_sidecar:
                sidecars.create_task(runner.run())
                if not await runner.wait_started():
                    return False
            elif await runner.run() != 0 or runner.is_stopping:
                return False
        return True

    async def _stop_sidecars(self, grace: float) -> None:
        """In reverse order, after the containers that use them."""
        for runner in reversed(self.init):
            if runner.status.is_sidecar:
                await runner.stop(grace)

    def _grace(self) -> float:
        default = self._pod["spec"].get("terminationGracePeriodSeconds", 30)
        return float(self._pod["metadata"].get("deletionGracePeriodSeconds", default))

    async def _set_up_volumes(self) -> bool:
        """Set up the volumes, with retries. False when the pod is deleted first."""
        while not self._deleting.is_set():
            try:
                self._files.prepare()
            except VolumeError as error:
                self._node.events.warning(self._pod, "FailedMount", str(error))
                with suppress(TimeoutError):
                    async with asyncio.timeout(VOLUME_RETRY):
                        await self._deleting.wait()
            else:
                self._volumes_ready = True
                self._changed.set()
                return True
        return False

    async def _pull_image_volumes(self) -> bool:
        """Show images as volumes. False when the pod is deleted first."""
        for volume in self._pod["spec"].get("volumes") or ():
            if "image" not in volume:
                continue
            image = await self._first_runner().pull(volume["image"]["reference"])
            if image is None or image.volume is None:
                return False
            self._files.link_image(volume["name"], image.volume)
        return True

    def _first_runner(self) -> ContainerRunner:
        """The container that reports failed pulls: they keep the first one from starting."""
        return (*self.init, *self.main)[0]

    async def _terminate(self) -> None:
        deadline = asyncio.get_running_loop().time() + self._grace()
        first = [*(each for each in self.init if not each.status.is_sidecar), *self.main]
        forced = asyncio.create_task(self._kill_when_removed())
        try:
            await asyncio.gather(*(runner.stop(self._grace()) for runner in first))
            left = deadline - asyncio.get_running_loop().time()
            await self._stop_sidecars(min(self._grace(), max(KILL_GRACE, left)))
        finally:
            forced.cancel()

    async def _kill_when_removed(self) -> None:
        """Kill the pod when it is force-deleted during its grace period."""
        await self._removed.wait()
        await self.kill()

    async def kill(self) -> None:
        """Kill all processes, without updating the API."""
        await asyncio.gather(*(runner.kill() for runner in (*self.init, *self.main)))

    def refresh_volumes(self) -> None:
        """Update volumes after a Secret or ConfigMap changed."""
        if self._volumes_ready:
            with suppress(VolumeError):
                self._files.refresh_volumes()

    # --- status updates

    async def _sync_status(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            self._update_status()
            await asyncio.sleep(STATUS_DELAY)

    def _update_status(self) -> None:
        def fill(found: Obj) -> None:
            found["status"] = pod_status.build(
                found,
                init=[runner.status for runner in self.init],
                main=[runner.status for runner in self.main],
                pod_ip=self._ip,
                host_ip=self._node.host_ip,
                started=self._started,
                volumes_ready=self._volumes_ready,
                generation=self._pod["metadata"].get("generation", 1),
                resize=self._resize,
            )
            if found["status"]["phase"] in ("Succeeded", "Failed"):
                self._node.allocations.release(found)

        meta = self._pod["metadata"]
        if not self._exists_in_api():
            return
        try:
            self._node.store.mutate(PODS, meta["namespace"], meta["name"], fill, "status")
        except ApiError:
            logger.exception("cannot update the status of pod %s", meta["name"])

    def _exists_in_api(self) -> bool:
        meta = self._pod["metadata"]
        found = self._node.store.find(PODS, meta["namespace"], meta["name"])
        return found is not None and found["metadata"]["uid"] == meta["uid"]

    def _remove(self) -> None:
        meta = self._pod["metadata"]
        if self._exists_in_api():
            self._node.store.delete(PODS, meta["namespace"], meta["name"], grace_seconds=0)

    # --- containers

    def _runner(self, container: JsonObject, *, init: bool = False) -> ContainerRunner:
        spec, meta = self._pod["spec"], self._pod["metadata"]
        policy = spec.get("restartPolicy", "Always")
        is_sidecar = init and container.get("restartPolicy") == "Always"
        path = f"spec.{'initContainers' if init else 'containers'}{{{container['name']}}}"

        def record_event(kind: str, reason: str, message: str) -> None:
            record = self._node.events.normal if kind == "Normal" else self._node.events.warning
            record(self._pod, reason, message, path=path)

        context = PodContext(
            pod_ip=self._ip,
            title=f"{meta['name']}_{meta['namespace']}({meta['uid']})",
            restart_policy=_restart_policy(policy, init=init, is_sidecar=is_sidecar),
            is_sidecar=is_sidecar,
            grace_seconds=float(spec.get("terminationGracePeriodSeconds", 30)),
            logs=self._files.logs,
            backoff=self._node.backoff,
            find_image=self._node.images.find,
            process_spec=lambda image: self._files.process_spec(
                container, image, self._with_addresses()
            ),
            record_event=record_event,
            changed=self._changed.set,
        )
        return ContainerRunner(container, context)

    def _with_addresses(self) -> JsonObject:
        status = dict(self._pod.get("status", {})) | {
            "podIP": self._ip,
            "hostIP": self._node.host_ip,
        }
        return dict(self._pod) | {"status": status}


def _restart_policy(of_pod: str, *, init: bool, is_sidecar: bool) -> str:
    if is_sidecar:
        return "Always"
    return "OnFailure" if init and of_pod == "Always" else of_pod


def _ports(pod: JsonObject) -> list[int]:
    return [
        port["containerPort"]
        for container in pod["spec"]["containers"]
        for port in container.get("ports") or ()
        if port.get("protocol", "TCP") == "TCP"
    ]
