"""One pod on the node, from its binding to its removal."""

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
from aiapi_sandbox.node.backoff import BackoffPolicy
from aiapi_sandbox.node.container import ContainerRunner, PodContext
from aiapi_sandbox.node.images import ImageStore
from aiapi_sandbox.node.pod_addresses import AddressPool
from aiapi_sandbox.node.pod_files import CredentialIssuer, PodFiles
from aiapi_sandbox.node.volumes import VolumeError
from aiapi_sandbox.storage.store import Store

logger = logging.getLogger(__name__)
VOLUME_RETRY = 1.0
STATUS_SETTLE = 0.01
JsonObject = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class NodeServices:
    """What all pods of the node share."""

    store: Store
    events: ComponentEventRecorder
    images: ImageStore
    addresses: AddressPool
    folder: Path
    host_ip: str
    allocatable: Mapping[str, str]
    backoff: BackoffPolicy
    issuer: CredentialIssuer


class PodWorker:
    """Runs a pod; `run` belongs in a task of the kubelet."""

    def __init__(self, pod: Obj, node: NodeServices) -> None:
        self._node = node
        self._pod = pod
        self._started = datetime.now(UTC)
        self._changed = asyncio.Event()
        self._deleting = asyncio.Event()
        self._gone = asyncio.Event()
        self._volumes_ready = False
        self._ip = node.addresses.take(_ports(pod))
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
            runner.status.begin_wait("PodInitializing")
        self.update(pod)

    # --- what the kubelet tells

    def update(self, pod: Obj) -> None:
        """Take the newest version of the pod."""
        self._pod = pod
        by_name = {c["name"]: c for c in pod["spec"]["containers"]}
        for runner in self.main:
            resources = by_name[runner.status.name].get("resources") or {}
            if runner.status.resources != resources:
                runner.status.resources = resources
                self._changed.set()
        if pod["metadata"].get("generation") != pod.get("status", {}).get("observedGeneration"):
            self._changed.set()
        if "deletionTimestamp" in pod["metadata"]:
            self._deleting.set()

    def end(self) -> None:
        """The sandbox stops: end the pod as if it were deleted."""
        self._deleting.set()

    def forget(self) -> None:
        """The pod is no longer in the API: end it at once."""
        self._gone.set()
        self._deleting.set()

    # --- the life of the pod

    async def run(self) -> None:
        """Run the containers until the pod is deleted, then clean up."""
        reporting = asyncio.create_task(self._report_changes())
        living = asyncio.create_task(self._live())
        try:
            await self._deleting.wait()
            await self._terminate()
            await living
        finally:
            for task in (living, reporting):
                task.cancel()
            await asyncio.gather(living, reporting, return_exceptions=True)
            self._node.addresses.release(self._ip)
            await asyncio.to_thread(self._files.remove)
        self._report()
        self._remove()

    async def _live(self) -> None:
        self._changed.set()
        if any(runner.spec.get("restartPolicy") == "Always" for runner in self.init):
            text = "restartable init containers (sidecars) do not work in the sandbox"
            self._node.events.warning(self._pod, "Unsupported", text)
        try:
            if not await self._prepare():
                return
            for runner in self.init:
                if await runner.run() != 0 or runner.is_stopping:
                    return
            self._changed.set()
            async with asyncio.TaskGroup() as group:
                for runner in self.main:
                    group.create_task(runner.run())
        except ExceptionGroup:
            logger.exception("pod %s failed", self._pod["metadata"]["name"])

    async def _prepare(self) -> bool:
        """Make the volumes; wait for what they need. False when the pod is deleted meanwhile."""
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

    async def _terminate(self) -> None:
        default = self._pod["spec"].get("terminationGracePeriodSeconds", 30)
        grace = float(self._pod["metadata"].get("deletionGracePeriodSeconds", default))
        runners = [*self.init, *self.main]
        forced = asyncio.create_task(self._kill_when_gone())
        try:
            await asyncio.gather(*(runner.stop(grace) for runner in runners))
        finally:
            forced.cancel()

    async def _kill_when_gone(self) -> None:
        """A forced deletion does not wait for the grace period."""
        await self._gone.wait()
        await self.kill()

    async def kill(self) -> None:
        """End all processes at once, without cleaning up in the API."""
        await asyncio.gather(*(runner.kill() for runner in (*self.init, *self.main)))

    def refresh_volumes(self) -> None:
        """A Secret or ConfigMap changed: write the files again, as a kubelet does in time."""
        if self._volumes_ready:
            with suppress(VolumeError):
                self._files.refresh_volumes()

    # --- telling the API

    async def _report_changes(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            self._report()
            await asyncio.sleep(STATUS_SETTLE)

    def _report(self) -> None:
        def fill(found: Obj) -> None:
            found["status"] = pod_status.build(
                found,
                init=[runner.status for runner in self.init],
                main=[runner.status for runner in self.main],
                pod_ip=self._ip,
                host_ip=self._node.host_ip,
                started=self._started,
                volumes_ready=self._volumes_ready,
            )

        meta = self._pod["metadata"]
        if not self._is_current():
            return
        try:
            self._node.store.mutate(PODS, meta["namespace"], meta["name"], fill, "status")
        except ApiError:
            logger.exception("the status of pod %s was refused", meta["name"])

    def _is_current(self) -> bool:
        meta = self._pod["metadata"]
        found = self._node.store.find(PODS, meta["namespace"], meta["name"])
        return found is not None and found["metadata"]["uid"] == meta["uid"]

    def _remove(self) -> None:
        meta = self._pod["metadata"]
        if self._is_current():
            self._node.store.delete(PODS, meta["namespace"], meta["name"], grace_seconds=0)

    # --- containers

    def _runner(self, container: JsonObject, *, init: bool = False) -> ContainerRunner:
        spec, meta = self._pod["spec"], self._pod["metadata"]
        policy = spec.get("restartPolicy", "Always")
        path = f"spec.{'initContainers' if init else 'containers'}{{{container['name']}}}"

        def record_event(kind: str, reason: str, message: str) -> None:
            record = self._node.events.normal if kind == "Normal" else self._node.events.warning
            record(self._pod, reason, message, path=path)

        host = PodContext(
            pod_ip=self._ip,
            pod_title=f"{meta['name']}_{meta['namespace']}({meta['uid']})",
            restart_policy="OnFailure" if init and policy == "Always" else policy,
            grace_seconds=float(spec.get("terminationGracePeriodSeconds", 30)),
            logs=self._files.logs,
            backoff=self._node.backoff,
            find_image=self._node.images.find,
            command=lambda image: self._files.command(container, image, self._with_address()),
            record_event=record_event,
            changed=self._changed.set,
        )
        return ContainerRunner(container, host)

    def _with_address(self) -> JsonObject:
        status = dict(self._pod.get("status", {})) | {
            "podIP": self._ip,
            "hostIP": self._node.host_ip,
        }
        return dict(self._pod) | {"status": status}


def _ports(pod: JsonObject) -> list[int]:
    return [
        port["containerPort"]
        for container in pod["spec"]["containers"]
        for port in container.get("ports") or ()
        if port.get("protocol", "TCP") == "TCP"
    ]
