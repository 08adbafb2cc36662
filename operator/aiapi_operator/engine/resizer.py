"""Resizes pods beside the ticks: each resize is a task of its AIApi, with a deadline.

A tick does not wait for the API server or a slow kubelet, and a wave of resizes of one AIApi delays
no other. A task ends with its AIApi and with the leadership. A pod has one at a time; when it ends,
a later tick looks again at what is left to do.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field

import msgspec
from msgspec import structs

from aiapi_operator.api.container import APP_CONTAINER
from aiapi_operator.cluster.errors import ClusterError, Conflict, Forbidden, Invalid, NotFound
from aiapi_operator.engine import grants
from aiapi_operator.engine.aiapi_ref import AIApiRef
from aiapi_operator.engine.cache import ObjectCache
from aiapi_operator.engine.fleet import SampledPod
from aiapi_operator.engine.grants import Asked, GrantsState
from aiapi_operator.engine.pod_requests import WorkerRequest
from aiapi_operator.engine.pod_resize import ResizeStep, next_step
from aiapi_operator.engine.pod_view import PodView, pod_view
from aiapi_operator.engine.ports import Cluster

CONCURRENT_RESIZES = 16
"""Resizes of one AIApi at a time."""
DEADLINE = 30.0
"""Seconds that a resize may take, with the search for what a node has room for."""

Then = Callable[[int, ResizeStep], Awaitable[None]]
"""Called after a resize with the workers that the pod may have, and the step that is left."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class ResizerState:
    """The resizes under way, by the pod's uid, and what failed, by the pod's name."""

    resizing: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CONCURRENT_RESIZES))
    decided_workers: int = 0
    """Workers decided last. A resize for another number goes no further."""

    def cancel(self) -> None:
        """End all tasks. What was asked for stays; the next leader observes it."""
        for task in self.resizing.values():
            task.cancel()


class PodResize(msgspec.Struct, frozen=True, kw_only=True):
    """One pod to resize, and what follows."""

    ref: AIApiRef
    granted: GrantsState
    pod: SampledPod
    request: WorkerRequest
    then: Then


class _Plan(msgspec.Struct, frozen=True, gc=False):
    workers: int
    step: ResizeStep
    resize: Asked | None
    """None where nothing is to be asked for."""


class Resizer:
    """Asks for the CPU and memory of pods."""

    def __init__(self, cluster: Cluster, cache: ObjectCache, *, clock: Callable[[], float]) -> None:
        self._cluster = cluster
        self._cache = cache
        self._clock = clock

    def begin(self, state: ResizerState, wanted: int, pods: Collection[SampledPod]) -> list[str]:
        """Take in a new decision. Returns what failed since the last one."""
        state.decided_workers = wanted
        names = {each.pod.name for each in pods}
        state.failed = {name: text for name, text in state.failed.items() if name in names}
        return [f"resize of pod {name}: {text}" for name, text in state.failed.items()]

    def size(self, state: ResizerState, job: PodResize) -> tuple[int, ResizeStep]:
        """Start the resize that a pod needs. Returns the workers that it may have, and its step."""
        plan = self._plan(job, state.decided_workers)
        uid = job.pod.pod.uid
        if plan.resize is not None and uid not in state.resizing:
            task = asyncio.create_task(self._run(state, job), name=f"resize {job.pod.pod.name}")
            state.resizing[uid] = task
            task.add_done_callback(lambda _: state.resizing.pop(uid))
        return plan.workers, plan.step

    def _plan(self, job: PodResize, wanted: int) -> _Plan:
        """CPU and memory for ``wanted`` workers, or for as many as may be granted."""
        now, pod = self._clock(), job.pod.pod
        count = grants.to_ask(job.granted, pod, wanted, now=now)
        workers, resources = min(wanted, count), job.request.total(count)
        step = next_step(pod, job.pod.sample, workers=workers, resources=resources)
        if step.resize is None:
            return _Plan(workers, step, None)
        resize = Asked(workers=count, resources=resources, time=now)
        if not grants.may_ask(job.granted, pod, resize):
            return _Plan(workers, ResizeStep(workers=step.workers), None)
        return _Plan(workers, step, resize)

    async def _run(self, state: ResizerState, job: PodResize) -> None:
        name = job.pod.pod.name
        try:
            async with asyncio.timeout(DEADLINE):
                await self._resize(state, job)
        except (ClusterError, TimeoutError) as error:
            state.failed[name] = str(error) or f"no answer within {DEADLINE:g} s"
            _log_problem(job, state.failed[name], logging.WARNING)
        else:
            state.failed.pop(name, None)

    async def _resize(self, state: ResizerState, job: PodResize) -> None:
        """Ask for the CPU and memory of all workers, or of fewer until it is granted."""
        wanted = state.decided_workers
        while True:
            plan = self._plan(job, wanted)
            resize = plan.resize
            if resize is None:
                break
            resized = await self._ask(state, job, resize)
            if state.decided_workers != wanted:
                return
            if resized is not None:
                resources, sample = resize.resources, job.pod.sample
                step = next_step(resized, sample, workers=plan.workers, resources=resources)
                plan = structs.replace(plan, step=step)
                break
            asks = grants.to_ask(job.granted, job.pod.pod, wanted, now=resize.time)
            if asks >= resize.workers:
                return
        await job.then(plan.workers, ResizeStep(workers=plan.step.workers))

    async def _ask(self, state: ResizerState, job: PodResize, resize: Asked) -> PodView | None:
        """Resize a pod. None when it is refused or the pod is gone."""
        async with state.slots:
            try:
                answer = await self._cluster.resize(
                    job.ref.namespace, job.pod.pod.name, APP_CONTAINER, dict(resize.resources)
                )
            except (Forbidden, Invalid) as error:
                cause = grants.cause(error)
                is_known = grants.is_known(job.granted, job.pod.pod, cause)
                grants.refuse(job.granted, job.pod, resize, cause, now=resize.time)
                _log_problem(job, cause.message, logging.DEBUG if is_known else logging.WARNING)
                return None
            except (Conflict, NotFound):
                return None  # a conflict says nothing about room: the next tick asks again
        self._cache.put(answer)
        resized = pod_view(answer)
        grants.ask(job.granted, resized, resize)
        return resized


def _log_problem(job: PodResize, problem: str, level: int) -> None:
    fields = job.ref.log_fields()
    _log.log(level, "resize of pod %s: %s", job.pod.pod.name, problem, extra=fields)
