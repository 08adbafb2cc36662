"""Carries out a decision, in the order that drops no request.

Up: CPU and memory of the pods first, then workers, then pods. Down: workers, then CPU and
memory; before pods go, those with the least in flight are marked to go first. Every step says
what should be, not what should change, so doing one twice does nothing.
"""

import asyncio
import json
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from aiapi_operator.api.container import APP_CONTAINER
from aiapi_operator.cluster.errors import ClusterError, Forbidden, Invalid, NotFound
from aiapi_operator.cluster.resources import Manifest
from aiapi_operator.engine.aiapi_state import AIApiState, Rejection
from aiapi_operator.engine.cache import ObjectCache
from aiapi_operator.engine.fleet import scrape_target
from aiapi_operator.engine.pod_resize import ResizeStep, next_step
from aiapi_operator.engine.pod_view import PodView, Resources, pod_view
from aiapi_operator.engine.ports import Cluster, WorkersClient
from aiapi_operator.observe.target import ScrapeTarget
from aiapi_operator.sizing.inputs import PodSample

_AT_ONCE = 16
_FIRST_RETRY = 5.0
_LAST_RETRY = 60.0
_LEAST_COST = -1000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """The fleet wanted now. ``resources`` is None where running pods cannot be resized."""

    workers: int
    replicas: int
    resources: Resources | None


@dataclass(slots=True)
class SampledPod:
    """One pod that answered, and what it said."""

    pod: PodView
    sample: PodSample


class Actuator:
    """Does what is left to do between the fleet seen and the fleet wanted."""

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
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def size_pods(
        self, subject: AIApiState, members: Sequence[SampledPod], wish: Desired
    ) -> list[str]:
        """Bring pods nearer to the wanted size; returns what was refused."""
        _forget_gone(subject, members)
        steps = await asyncio.gather(*(self._resize(subject, m, wish) for m in members))
        greeted = [
            replace(step, workers=wish.workers)
            if _is_as_wanted(step) and _waits(subject, m)
            else step
            for m, step in zip(members, steps, strict=True)
        ]
        return await self._set_workers(subject, members, greeted)

    async def greet(self, subject: AIApiState, members: Sequence[SampledPod]) -> None:
        """Tell new pods to go on with the workers they have, where nothing is to be changed."""
        _forget_gone(subject, members)
        steps = [
            ResizeStep(workers=m.sample.workers_wanted or None)
            if _waits(subject, m)
            else ResizeStep()
            for m in members
        ]
        await self._set_workers(subject, members, steps)

    async def set_replicas(
        self,
        subject: AIApiState,
        deployment: Manifest,
        members: Sequence[SampledPod],
        wish: Desired,
    ) -> None:
        """Bring the Deployment to the wanted number of pods."""
        now = deployment["spec"].get("replicas", 1)
        if now == wish.replicas:
            return
        if wish.replicas < now:
            await self._mark(subject, members, now - wish.replicas)
        namespace, name = subject.key
        version = await self._cluster.scale(namespace, name, wish.replicas)
        self._cache.put(
            {
                **deployment,
                "metadata": {**deployment["metadata"], "resourceVersion": version},
                "spec": {**deployment["spec"], "replicas": wish.replicas},
            }
        )

    async def _resize(self, subject: AIApiState, member: SampledPod, wish: Desired) -> ResizeStep:
        step = _step(member.pod, member.sample, wish)
        if step.resize is None or not self._may_ask(subject, member.pod, step.resize):
            return step
        async with self._slots:
            try:
                answer = await self._cluster.resize(
                    subject.key[0], member.pod.name, APP_CONTAINER, dict(step.resize)
                )
            except (Forbidden, Invalid) as error:
                self._refused(subject, member.pod, step.resize, error)
                return step
            except NotFound:
                return ResizeStep()
        subject.resizes.pop(member.pod.uid, None)
        self._cache.put(answer)
        member.pod = pod_view(answer)
        after = _step(member.pod, member.sample, wish)
        return ResizeStep(workers=after.workers if after.workers is not None else step.workers)

    def _may_ask(self, subject: AIApiState, pod: PodView, resources: Resources) -> bool:
        refusal = subject.resizes.get(pod.uid)
        wish = json.dumps(resources, sort_keys=True)
        return refusal is None or refusal.wish != wish or self._clock() >= refusal.retry

    def _refused(
        self, subject: AIApiState, pod: PodView, resources: Resources, error: ClusterError
    ) -> None:
        before = subject.resizes.get(pod.uid)
        delay = min(before.delay * 2, _LAST_RETRY) if before else _FIRST_RETRY
        wish = json.dumps(resources, sort_keys=True)
        message = f"resize of pod {pod.name}: {error.message}"
        subject.resizes[pod.uid] = Rejection(wish, message, self._clock() + delay, delay)
        _log.warning("%s", message, extra={"namespace": subject.key[0], "aiapi": subject.key[1]})

    async def _set_workers(
        self, subject: AIApiState, members: Sequence[SampledPod], steps: Iterable[ResizeStep]
    ) -> list[str]:
        orders: dict[int, list[ScrapeTarget]] = defaultdict(list)
        instances: dict[str, str] = {}
        for member, step in zip(members, steps, strict=True):
            where = scrape_target(member.pod)
            if step.workers is not None and where is not None:
                orders[step.workers].append(where)
                instances[member.pod.name] = member.sample.instance
        problems: dict[str, str] = {}
        for count, targets in orders.items():
            problems |= await self._workers.set(targets, count, subject.tokens)
        subject.sized |= {told for pod, told in instances.items() if pod not in problems}
        return [
            *(refusal.message for refusal in subject.resizes.values()),
            *(f"workers of pod {pod}: {problem}" for pod, problem in problems.items()),
        ]

    async def _mark(self, subject: AIApiState, members: Sequence[SampledPod], surplus: int) -> None:
        """Whoever has least in flight goes first; a mark from an earlier time is taken back."""
        calmest = sorted(members, key=lambda m: (m.sample.in_flight, m.pod.name))
        costs = {m.pod.name: _LEAST_COST + rank for rank, m in enumerate(calmest[:surplus])}
        await asyncio.gather(
            *(
                self._set_cost(subject, member.pod, costs.get(member.pod.name, 0))
                for member in members
            )
        )

    async def _set_cost(self, subject: AIApiState, pod: PodView, cost: int) -> None:
        if pod.deletion_cost == cost:
            return
        async with self._slots:
            try:
                await self._cluster.set_deletion_cost(subject.key[0], pod.name, cost)
            except NotFound:
                return


def _step(pod: PodView, sample: PodSample, wish: Desired) -> ResizeStep:
    if wish.resources is None:
        same = sample.workers_wanted == wish.workers
        return ResizeStep(workers=None if same else wish.workers)
    return next_step(pod, sample, workers=wish.workers, resources=wish.resources)


def _is_as_wanted(step: ResizeStep) -> bool:
    return step == ResizeStep()


def _waits(subject: AIApiState, member: SampledPod) -> bool:
    """Whether a pod may be waiting to be told its size before it says that it is ready."""
    return not member.sample.ready and member.sample.instance not in subject.sized


def _forget_gone(subject: AIApiState, members: Iterable[SampledPod]) -> None:
    there = {member.pod.uid for member in members}
    subject.sized &= {member.sample.instance for member in members}
    subject.resizes = {uid: told for uid, told in subject.resizes.items() if uid in there}


def deferred_resizes(subject: AIApiState, pods: Iterable[PodView]) -> int:
    """Pods whose resize the node has no room for (yet)."""
    return sum(bool(pod.resize_pending) or pod.uid in subject.resizes for pod in pods)
