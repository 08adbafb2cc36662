"""Carries out a decision in an order that drops no request.

Up: CPU and memory of the pods first, then workers, then pods. Down: workers, then CPU and memory.
Before the Deployment is scaled down, the pods with the least open work (WebSockets and streams,
then requests in flight, then connections) are marked to be deleted first. Every step sets a target
state, so repeating it changes nothing.

A tick waits for no resize (see resizer.py): workers that have their CPU start at once, the others
when their pod's resize is in effect.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from aiapi_operator.cluster.errors import ClusterError, NotFound, Unavailable
from aiapi_operator.cluster.resources import Manifest
from aiapi_operator.engine import grants
from aiapi_operator.engine.aiapi_ref import AIApiRef
from aiapi_operator.engine.cache import ObjectCache
from aiapi_operator.engine.fleet import AdminAccess, Observation, SampledPod
from aiapi_operator.engine.grants import GrantsState
from aiapi_operator.engine.pod_requests import WorkerRequest
from aiapi_operator.engine.pod_resize import ResizeStep
from aiapi_operator.engine.pod_view import PodView, matches
from aiapi_operator.engine.ports import Cluster, WorkersClient
from aiapi_operator.engine.resizer import PodResize, Resizer, ResizerState
from aiapi_operator.observe.target import ScrapeTarget

_CONCURRENT_REQUESTS = 16
_LOWEST_COST = -1000
_DONE = ResizeStep()


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """The desired fleet. ``request`` is None where running pods cannot be resized."""

    workers: int
    replicas: int
    request: WorkerRequest | None


@dataclass(slots=True)
class ActuatorState:
    """Which pods have received their size."""

    sized: set[str] = field(default_factory=set)
    """Pod instances that received a PUT /workers: a new pod waits for it before it is ready."""


@dataclass(frozen=True, slots=True)
class _Round:
    """What one tick wants, and the state it changes."""

    ref: AIApiRef
    state: ActuatorState
    resizer: ResizerState
    granted: GrantsState
    desired: Desired
    access: AdminAccess


class Actuator:
    """Moves the fleet from its observed to its desired size."""

    def __init__(
        self,
        cluster: Cluster,
        workers: WorkersClient,
        cache: ObjectCache,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._cluster = cluster
        self._workers = workers
        self._cache = cache
        self._resizer = Resizer(cluster, cache, clock=clock)

    async def act(  # noqa: PLR0913 - the parts of one tick
        self,
        ref: AIApiRef,
        state: ActuatorState,
        granted: GrantsState,
        observation: Observation,
        desired: Desired,
        *,
        resizer: ResizerState,
        access: AdminAccess,
    ) -> list[str]:
        """Resize pods, set their workers, and scale the Deployment. Returns what failed."""
        pods = observation.sampled_pods
        _forget_deleted(state, pods)
        errors = self._resizer.begin(resizer, desired.workers, pods)
        now = _Round(ref, state, resizer, granted, desired, access)
        settled = _settled(now)
        steps = [_DONE if settled(pod) else self._size_pod(now, pod) for pod in pods]
        errors += grants.errors(granted, observation.pods)
        errors += await self._set_workers(state, pods, steps, access)
        if observation.deployment is None:
            return errors
        try:
            await self.scale(ref, observation.deployment, pods, desired.replicas)
        except Unavailable:
            raise
        except ClusterError as error:
            errors.append(f"replicas of the Deployment: {error.message}")
        return errors

    async def confirm_workers(
        self,
        state: ActuatorState,
        pods: Sequence[SampledPod],
        *,
        access: AdminAccess,
    ) -> None:
        """Confirm the worker count of new pods, so that they become ready without a change."""
        _forget_deleted(state, pods)
        steps = [
            ResizeStep(workers=pod.sample.workers_wanted or None)
            if _awaits_size(state, pod)
            else ResizeStep()
            for pod in pods
        ]
        await self._set_workers(state, pods, steps, access)

    async def scale(
        self, ref: AIApiRef, deployment: Manifest, pods: Sequence[SampledPod], replicas: int
    ) -> None:
        """Scale the Deployment."""
        current = deployment["spec"].get("replicas", 1)
        if current == replicas:
            return
        if replicas < current:
            await self._mark_for_deletion(ref, pods, current - replicas)
        version = await self._cluster.scale(ref.namespace, ref.name, replicas)
        self._cache.scaled(ref.key, version, replicas)

    def _size_pod(self, now: _Round, pod: SampledPod) -> ResizeStep:
        """Start the resize of a pod, if it needs one. Returns what to do at once."""
        workers, request = now.desired.workers, now.desired.request
        if request is None:
            return _confirmed(now, pod, workers, _without_resize(pod, workers))

        async def then(workers: int, step: ResizeStep) -> None:
            step = _confirmed(now, pod, workers, step)
            await self._set_workers(now.state, [pod], [step], now.access)

        job = PodResize(ref=now.ref, granted=now.granted, pod=pod, request=request, then=then)
        workers, step = self._resizer.size(now.resizer, job)
        is_resizing = pod.pod.uid in now.resizer.resizing
        return step if is_resizing else _confirmed(now, pod, workers, step)

    async def _set_workers(
        self,
        state: ActuatorState,
        pods: Sequence[SampledPod],
        steps: Iterable[ResizeStep],
        access: AdminAccess,
    ) -> list[str]:
        targets: dict[int, list[ScrapeTarget]] = defaultdict(list)
        instances: dict[str, str] = {}
        for pod, step in zip(pods, steps, strict=True):
            if step.workers is None:
                continue
            target = access.target(pod.pod)
            if target is not None:
                targets[step.workers].append(target)
                instances[pod.pod.name] = pod.sample.instance
        errors: dict[str, str] = {}
        for count, group in targets.items():
            errors |= await self._workers.set(group, count, access.tokens)
        state.sized |= {instance for name, instance in instances.items() if name not in errors}
        return [f"workers of pod {name}: {error}" for name, error in errors.items()]

    async def _mark_for_deletion(
        self, ref: AIApiRef, pods: Sequence[SampledPod], surplus: int
    ) -> None:
        """Give the pods with the least open work the lowest cost; reset the others."""
        slots = asyncio.Semaphore(_CONCURRENT_REQUESTS)
        by_load = sorted(pods, key=_open_work)
        costs = {each.pod.name: _LOWEST_COST + rank for rank, each in enumerate(by_load[:surplus])}
        await asyncio.gather(
            *(self._set_cost(ref, each.pod, costs.get(each.pod.name, 0), slots) for each in pods)
        )

    async def _set_cost(
        self, ref: AIApiRef, pod: PodView, cost: int, slots: asyncio.Semaphore
    ) -> None:
        if pod.deletion_cost == cost:
            return
        async with slots:
            try:
                await self._cluster.set_deletion_cost(ref.namespace, pod.name, cost)
            except NotFound:
                return


def _settled(now: _Round) -> Callable[[SampledPod], bool]:
    """Whether a pod has what is wanted. That is true of most pods in most ticks."""
    workers, request = now.desired.workers, now.desired.request
    wanted = None if request is None else request.total(workers)
    moving = {*now.resizer.resizing, *now.granted.refusals, *now.granted.unanswered}
    fits: dict[int, bool] = {}  # by id: equal resources are one object

    def check(pod: SampledPod) -> bool:
        sample, view = pod.sample, pod.pod
        has_size = sample.ready and sample.workers_wanted == workers and view.uid not in moving
        if not has_size or wanted is None:
            return has_size
        known = fits.get(id(view.resources))
        if known is None:
            known = fits[id(view.resources)] = matches(view.resources, wanted)
        return known

    return check


def _without_resize(pod: SampledPod, workers: int) -> ResizeStep:
    return ResizeStep(workers=None if pod.sample.workers_wanted == workers else workers)


def _confirmed(now: _Round, pod: SampledPod, workers: int, step: ResizeStep) -> ResizeStep:
    """The step, or for a new pod that needs none the confirmation of its workers."""
    waits = step != ResizeStep() or pod.pod.uid in now.granted.unanswered
    return step if waits or not _awaits_size(now.state, pod) else ResizeStep(workers=workers)


def _open_work(pod: SampledPod) -> tuple[int, int, int, str]:
    """What a pod would cut when it ends, then what it waits for, then what must reconnect."""
    sample = pod.sample
    streams = sample.open_websockets + sample.open_streams
    return streams, sample.in_flight, sample.open_connections, pod.pod.name


def _awaits_size(state: ActuatorState, pod: SampledPod) -> bool:
    """Whether a pod may be waiting for its first PUT /workers before it is ready."""
    return not pod.sample.ready and pod.sample.instance not in state.sized


def _forget_deleted(state: ActuatorState, pods: Iterable[SampledPod]) -> None:
    state.sized &= {pod.sample.instance for pod in pods}
