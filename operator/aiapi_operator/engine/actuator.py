"""Carries out a decision in an order that drops no request.

Up: CPU and memory of the pods first, then workers, then pods. Down: workers, then CPU and memory.
Before the Deployment is scaled down, the pods with the least open work (WebSockets and streams,
then requests in flight, then connections) are marked to be deleted first. Every step sets a target
state, so repeating it changes nothing.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from aiapi_operator.api.container import APP_CONTAINER
from aiapi_operator.cluster.errors import (
    ClusterError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    Unavailable,
)
from aiapi_operator.cluster.resources import Manifest
from aiapi_operator.engine import grants
from aiapi_operator.engine.aiapi_ref import AIApiRef
from aiapi_operator.engine.cache import ObjectCache
from aiapi_operator.engine.fleet import Observation, SampledPod, scrape_target
from aiapi_operator.engine.grants import Asked, GrantsState
from aiapi_operator.engine.pod_requests import WorkerRequest
from aiapi_operator.engine.pod_resize import ResizeStep, next_step
from aiapi_operator.engine.pod_view import PodView, pod_view
from aiapi_operator.engine.ports import Cluster, WorkersClient
from aiapi_operator.observe.target import ScrapeTarget

_CONCURRENT_REQUESTS = 16
_LOWEST_COST = -1000

_log = logging.getLogger(__name__)


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
        self._clock = clock
        self._slots = asyncio.Semaphore(_CONCURRENT_REQUESTS)

    async def act(  # noqa: PLR0913 - the parts of one tick
        self,
        ref: AIApiRef,
        state: ActuatorState,
        granted: GrantsState,
        observation: Observation,
        desired: Desired,
        *,
        tokens: Sequence[str],
    ) -> list[str]:
        """Resize pods, set their workers, and scale the Deployment. Returns what failed."""
        pods = observation.sampled_pods
        _forget_deleted(state, pods)
        steps = await asyncio.gather(
            *(self._size_pod(ref, state, granted, pod, desired) for pod in pods)
        )
        errors = grants.errors(granted, observation.pods)
        errors += await self._set_workers(state, pods, steps, tokens)
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
        tokens: Sequence[str],
    ) -> None:
        """Confirm the worker count of new pods, so that they become ready without a change."""
        _forget_deleted(state, pods)
        steps = [
            ResizeStep(workers=pod.sample.workers_wanted or None)
            if _awaits_size(state, pod)
            else ResizeStep()
            for pod in pods
        ]
        await self._set_workers(state, pods, steps, tokens)

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

    async def _size_pod(
        self,
        ref: AIApiRef,
        state: ActuatorState,
        granted: GrantsState,
        pod: SampledPod,
        desired: Desired,
    ) -> ResizeStep:
        workers, step = desired.workers, _without_resize(pod, desired.workers)
        if desired.request is not None:
            workers, step = await self._resize(ref, granted, pod, desired.workers, desired.request)
        waits = step != ResizeStep() or pod.pod.uid in granted.unanswered
        return step if waits or not _awaits_size(state, pod) else ResizeStep(workers=workers)

    async def _resize(
        self,
        ref: AIApiRef,
        granted: GrantsState,
        pod: SampledPod,
        wanted: int,
        request: WorkerRequest,
    ) -> tuple[int, ResizeStep]:
        """Ask for CPU and memory for ``wanted`` workers, or for fewer until it is granted.

        Returns the workers that the pod may have now, and the step that is left.
        """
        while True:
            now = self._clock()
            count = grants.to_ask(granted, pod.pod, wanted, now=now)
            workers, resources = min(wanted, count), request.total(count)
            step = next_step(pod.pod, pod.sample, workers=workers, resources=resources)
            resize = Asked(workers=count, resources=resources, time=now)
            if step.resize is None or not grants.may_ask(granted, pod.pod, resize):
                return workers, replace(step, resize=None)
            resized = await self._ask(ref, granted, pod, resize)
            if resized is not None:
                after = next_step(resized, pod.sample, workers=workers, resources=resources)
                return workers, replace(after, resize=None, workers=after.workers or step.workers)
            if grants.to_ask(granted, pod.pod, wanted, now=now) >= count:
                return workers, replace(step, resize=None)

    async def _ask(
        self, ref: AIApiRef, granted: GrantsState, pod: SampledPod, resize: Asked
    ) -> PodView | None:
        """Resize a pod. None when it is refused or the pod is gone."""
        name = pod.pod.name
        async with self._slots:
            try:
                answer = await self._cluster.resize(
                    ref.namespace, name, APP_CONTAINER, dict(resize.resources)
                )
            except (Forbidden, Invalid) as error:
                grants.refuse(granted, pod, resize, grants.cause(error), now=resize.time)
                _log.warning("resize of pod %s: %s", name, error.message, extra=ref.log_fields())
                return None
            except (Conflict, NotFound):
                return None  # a conflict says nothing about room: the next tick asks again
        self._cache.put(answer)
        resized = pod_view(answer)
        grants.ask(granted, resized, resize)
        return resized

    async def _set_workers(
        self,
        state: ActuatorState,
        pods: Sequence[SampledPod],
        steps: Iterable[ResizeStep],
        tokens: Sequence[str],
    ) -> list[str]:
        targets: dict[int, list[ScrapeTarget]] = defaultdict(list)
        instances: dict[str, str] = {}
        for pod, step in zip(pods, steps, strict=True):
            target = scrape_target(pod.pod)
            if step.workers is not None and target is not None:
                targets[step.workers].append(target)
                instances[pod.pod.name] = pod.sample.instance
        errors: dict[str, str] = {}
        for count, group in targets.items():
            errors |= await self._workers.set(group, count, tokens)
        state.sized |= {instance for name, instance in instances.items() if name not in errors}
        return [f"workers of pod {name}: {error}" for name, error in errors.items()]

    async def _mark_for_deletion(
        self, ref: AIApiRef, pods: Sequence[SampledPod], surplus: int
    ) -> None:
        """Give the pods with the least open work the lowest cost; reset the others."""
        by_load = sorted(pods, key=_open_work)
        costs = {each.pod.name: _LOWEST_COST + rank for rank, each in enumerate(by_load[:surplus])}
        await asyncio.gather(
            *(self._set_cost(ref, each.pod, costs.get(each.pod.name, 0)) for each in pods)
        )

    async def _set_cost(self, ref: AIApiRef, pod: PodView, cost: int) -> None:
        if pod.deletion_cost == cost:
            return
        async with self._slots:
            try:
                await self._cluster.set_deletion_cost(ref.namespace, pod.name, cost)
            except NotFound:
                return


def _without_resize(pod: SampledPod, workers: int) -> ResizeStep:
    return ResizeStep(workers=None if pod.sample.workers_wanted == workers else workers)


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
