"""The kubelet: runs a pod worker for each bound pod, and serves container logs."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

from aiapi_sandbox.apimachinery.errors import ApiError, Obj
from aiapi_sandbox.apiserver.pod_logs import PodLogOptions
from aiapi_sandbox.kinds.resources import CONFIGMAPS, PODS, SECRETS
from aiapi_sandbox.node.container import ContainerRunner
from aiapi_sandbox.node.logs import LogOptions
from aiapi_sandbox.node.memory import MemoryWatcher
from aiapi_sandbox.node.pod import NodeServices, PodWorker
from aiapi_sandbox.storage.watch_cache import WatchEvent

logger = logging.getLogger(__name__)
VOLUME_REFRESH_DELAY = 0.5
SANDBOX_RETRY = 2.0


class Kubelet:
    """Owns the pod workers. The sandbox runs `run` in a task."""

    def __init__(self, node_name: str, services: NodeServices) -> None:
        self._name = node_name
        self._services = services
        self._workers: dict[str, PodWorker] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._refused: set[str] = set()
        self._pod_events: asyncio.Queue[WatchEvent] = asyncio.Queue()
        self._volumes_changed = asyncio.Event()
        self._stopping = False
        services.store.add_event_handler(self._on_event)

    def _on_event(self, event: WatchEvent) -> None:
        if event.gvr == PODS and event.object["spec"].get("nodeName") == self._name:
            self._pod_events.put_nowait(event)
        elif event.gvr in (SECRETS, CONFIGMAPS):
            self._volumes_changed.set()

    async def run(self) -> None:
        """Process pod events until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._refresh_volumes())
            group.create_task(MemoryWatcher(self._containers).run())
            while True:
                event = await self._pod_events.get()
                self._handle(event)

    def _handle(self, event: WatchEvent) -> None:
        pod, uid = event.object, event.object["metadata"]["uid"]
        worker = self._workers.get(uid)
        if worker is not None:
            worker.abort() if event.type == "DELETED" else worker.update(pod)
        elif event.type != "DELETED" and uid not in self._refused:
            self._admit(pod)

    def _admit(self, pod: Obj) -> None:
        uid = pod["metadata"]["uid"]
        if not _may_run(pod) or self._stopping:
            return
        try:
            worker = self._workers[uid] = PodWorker(pod, self._services)
        except OSError as error:
            self._services.events.warning(
                pod, "FailedCreatePodSandBox", f"Failed to create pod sandbox: {error}"
            )
            self._refused.add(uid)
            asyncio.get_running_loop().call_later(SANDBOX_RETRY, self._admit_later, pod)
            return
        task = self._tasks[uid] = asyncio.create_task(worker.run())
        task.add_done_callback(lambda done: self._on_worker_done(uid, done))

    def _admit_later(self, pod: Obj) -> None:
        meta = pod["metadata"]
        self._refused.discard(meta["uid"])
        found = self._services.store.find(PODS, meta["namespace"], meta["name"])
        if found and found["metadata"]["uid"] == meta["uid"]:
            self._admit(found)

    def _on_worker_done(self, uid: str, task: asyncio.Task[None]) -> None:
        self._workers.pop(uid, None)
        self._tasks.pop(uid, None)
        if not task.cancelled() and (error := task.exception()):
            logger.error("pod worker failed", exc_info=error)

    def _containers(self) -> Iterator[ContainerRunner]:
        for worker in self._workers.values():
            yield from worker.init
            yield from worker.main

    async def _refresh_volumes(self) -> None:
        while True:
            await self._volumes_changed.wait()
            await asyncio.sleep(VOLUME_REFRESH_DELAY)
            self._volumes_changed.clear()
            for worker in tuple(self._workers.values()):
                worker.refresh_volumes()

    async def stop(self, grace: float) -> None:
        """Terminate all pods within the grace period, then kill them."""
        self._stopping = True
        running = set(self._tasks.values())
        for worker in tuple(self._workers.values()):
            worker.terminate()
        if running:
            await asyncio.wait(running, timeout=grace)
        await asyncio.gather(*(worker.kill() for worker in tuple(self._workers.values())))
        for task in (left := set(self._tasks.values())):
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    # --- logs

    async def logs(self, options: PodLogOptions) -> AsyncIterator[bytes]:
        """Yield a container's log as the options select it."""
        runner = self._runner(options)
        log = runner.previous_log if options.previous else runner.log
        if log is None:
            raise _no_log(options, runner)
        since = None
        if options.since_seconds is not None:
            since = datetime.now(UTC) - timedelta(seconds=options.since_seconds)
        query = LogOptions(
            follow=options.follow,
            timestamps=options.timestamps,
            tail_lines=options.tail_lines,
            since=since,
        )
        async for chunk in log.read(query):
            yield chunk

    def _runner(self, options: PodLogOptions) -> ContainerRunner:
        pod = self._services.store.peek(PODS, options.namespace, options.pod)
        worker = self._workers.get(pod["metadata"]["uid"])
        for runner in (*worker.init, *worker.main) if worker else ():
            if runner.status.name == options.container:
                return runner
        where = f'"{options.container}" in pod "{options.pod}"'
        raise ApiError(400, "BadRequest", f"container {where} is waiting to start: Pending")


def _may_run(pod: Obj) -> bool:
    return pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")


def _no_log(options: PodLogOptions, runner: ContainerRunner) -> ApiError:
    where = f'"{options.container}" in pod "{options.pod}"'
    if options.previous:
        message = f"previous terminated container {where} not found"
    else:
        reason = runner.status.state.get("waiting", {}).get("reason", "ContainerCreating")
        message = f"container {where} is waiting to start: {reason}"
        if "image" in reason.lower():
            message = f"container {where} is waiting to start: trying and failing to pull image"
    return ApiError(400, "BadRequest", message)
