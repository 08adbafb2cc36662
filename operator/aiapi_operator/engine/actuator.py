"""Carries out a decision in an order that drops no request.

Up: CPU and memory of the pods first, then workers, then pods. Down: workers, then CPU and memory.
Before the Deployment is scaled down, the pods with the least open work (WebSockets and streams,
then requests in flight, then connections) are marked to be deleted first. Every step sets a target
state, so repeating it changes nothing.
"""

import asyncio
import json
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from aiapi_operator.api.container import APP_CONTAINER
from aiapi_operator.cluster.errors import ClusterError, Forbidden, Invalid, NotFound, Unavailable
from aiapi_operator.cluster.resources import Manifest
from aiapi_operator.engine.aiapi_ref import AIApiRef
from aiapi_operator.engine.cache import ObjectCache
from aiapi_operator.engine.fleet import Observation, SampledPod, scrape_target
from aiapi_operator.engine.pod_resize import ResizeStep, next_step
from aiapi_operator.engine.pod_view import PodView, Resources, pod_view
from aiapi_operator.engine.ports import Cluster, WorkersClient
from aiapi_operator.engine.rejection import Rejection, reject
from aiapi_operator.observe.target import ScrapeTarget

_CONCURRENT_REQUESTS = 16
_FIRST_RETRY = 5.0
_LOWEST_COST = -1000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """The desired fleet. ``resources`` is None where running pods cannot be resized."""

    workers: int
    replicas: int
    resources: Resources | None


@dataclass(slots=True)
class ActuatorState:
    """What was rejected, and which pods have received their size."""

    rejected_resizes: dict[str, Rejection] = field(default_factory=dict)
    """Rejected resizes by the pod's uid."""
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

    async def act(
        self,
        ref: AIApiRef,
        state: ActuatorState,
        observation: Observation,
        desired: Desired,
        *,
        tokens: Sequence[str],
    ) -> list[str]:
        """Resize pods, set their workers, and scale the Deployment. Returns what failed."""
        pods = observation.sampled_pods
        _forget_deleted(state, pods)
        steps = await asyncio.gather(*(self._resize(ref, state, pod, desired) for pod in pods))
        confirmed = [
            replace(step, workers=desired.workers)
            if step == ResizeStep() and _awaits_size(state, pod)
            else step
            for pod, step in zip(pods, steps, strict=True)
        ]
        errors = await self._set_workers(state, pods, confirmed, tokens)
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
        self._cache.put(
            {
                **deployment,
                "metadata": {**deployment["metadata"], "resourceVersion": version},
                "spec": {**deployment["spec"], "replicas": replicas},
            }
        )

    async def _resize(
        self, ref: AIApiRef, state: ActuatorState, pod: SampledPod, desired: Desired
    ) -> ResizeStep:
        step = _step(pod, desired)
        if step.resize is None or self._is_blocked(state, pod.pod, step.resize):
            return step
        async with self._slots:
            try:
                answer = await self._cluster.resize(
                    ref.namespace, pod.pod.name, APP_CONTAINER, dict(step.resize)
                )
            except (Forbidden, Invalid) as error:
                self._record_rejection(ref, state, pod.pod, step.resize, error)
                return step
            except NotFound:
                return ResizeStep()
        state.rejected_resizes.pop(pod.pod.uid, None)
        self._cache.put(answer)
        after = _step(replace(pod, pod=pod_view(answer)), desired)
        return ResizeStep(workers=after.workers if after.workers is not None else step.workers)

    def _is_blocked(self, state: ActuatorState, pod: PodView, resources: Resources) -> bool:
        rejection = state.rejected_resizes.get(pod.uid)
        return rejection is not None and rejection.blocks(_text(resources), now=self._clock())

    def _record_rejection(
        self,
        ref: AIApiRef,
        state: ActuatorState,
        pod: PodView,
        resources: Resources,
        error: ClusterError,
    ) -> None:
        message = f"resize of pod {pod.name}: {error.message}"
        state.rejected_resizes[pod.uid] = reject(
            state.rejected_resizes.get(pod.uid),
            _text(resources),
            message,
            now=self._clock(),
            first_delay=_FIRST_RETRY,
        )
        _log.warning("%s", message, extra=ref.log_fields())

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
        return [
            *(rejection.message for rejection in state.rejected_resizes.values()),
            *(f"workers of pod {name}: {error}" for name, error in errors.items()),
        ]

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


def deferred_resizes(state: ActuatorState, pods: Iterable[PodView]) -> int:
    """The number of pods whose node has no room for their resize."""
    return sum(bool(pod.resize_pending) or pod.uid in state.rejected_resizes for pod in pods)


def _step(pod: SampledPod, desired: Desired) -> ResizeStep:
    if desired.resources is None:
        unchanged = pod.sample.workers_wanted == desired.workers
        return ResizeStep(workers=None if unchanged else desired.workers)
    return next_step(pod.pod, pod.sample, workers=desired.workers, resources=desired.resources)


def _open_work(pod: SampledPod) -> tuple[int, int, int, str]:
    """What a pod would cut when it ends, then what it waits for, then what must reconnect."""
    sample = pod.sample
    streams = sample.open_websockets + sample.open_streams
    return streams, sample.in_flight, sample.open_connections, pod.pod.name


def _text(resources: Resources) -> str:
    return json.dumps(resources, sort_keys=True)


def _awaits_size(state: ActuatorState, pod: SampledPod) -> bool:
    """Whether a pod may be waiting for its first PUT /workers before it is ready."""
    return not pod.sample.ready and pod.sample.instance not in state.sized


def _forget_deleted(state: ActuatorState, pods: Iterable[SampledPod]) -> None:
    uids = {pod.pod.uid for pod in pods}
    state.sized &= {pod.sample.instance for pod in pods}
    state.rejected_resizes = {
        uid: each for uid, each in state.rejected_resizes.items() if uid in uids
    }
