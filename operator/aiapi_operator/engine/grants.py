"""The workers that pods can have: which resizes were refused, why, and what to ask for next.

A refusal comes from the API server at once, from the kubelet within seconds, or not at all: a
resize that is not carried out for ten seconds counts as refused. After a refusal the number of
workers halfway between those that run and those that were refused is asked for, until the largest
number that fits is found: 8 are refused, then 4; 2 and 3 are granted.

No refusal is final. After a while, more workers are asked for: every 20 seconds where a full node
or a quota refused them, and after longer each time where something must be changed first.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from aiapi_operator.cluster.errors import ClusterError, Invalid
from aiapi_operator.engine.fleet import SampledPod
from aiapi_operator.engine.pod_view import PodView, Resources, exceeds, is_carried_out
from aiapi_operator.sizing.inputs import Refusal, RefusedResize

PATIENCE = 10.0
"""Seconds that a resize may take, and that the largest number that fits is searched for."""
ANSWER = 3.0
"""Seconds in which an older answer of the kubelet may still be seen as that to a new resize."""
LAST_RETRY = 600.0
"""Seconds from a refusal to the next attempt, at most. The first comes after ``PATIENCE``."""
LAST_RETRY_OF_TRANSIENT = 20.0
"""At most, for a refusal that can end at any time: nobody reports that a node has room again."""
_TRANSIENT = {Refusal.DEFERRED, Refusal.FORBIDDEN}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A resize: the workers it is for, and when it was asked for."""

    workers: int
    resources: Resources
    time: float


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a resize was refused, and how the cluster puts it."""

    why: Refusal
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PodRefusal:
    """A pod that cannot have as many workers as were asked for."""

    cause: Cause
    resources: Resources
    """What was refused last."""
    granted: int
    """Workers that it can have, as far as that is known."""
    refused: int
    """The fewest workers that it cannot have."""
    since: float
    retry_at: float
    delay: float

    @property
    def halfway(self) -> int:
        """The number to ask for next; ``granted`` when no number is left."""
        return (self.granted + self.refused) // 2

    def known(self, now: float) -> int:
        """The workers to plan with: those asked for while they are being searched for."""
        return self.halfway if now - self.since < PATIENCE else self.granted


@dataclass(slots=True)
class GrantsState:
    """Refusals and unanswered resizes, by the pod's uid."""

    refusals: dict[str, PodRefusal] = field(default_factory=dict)
    unanswered: dict[str, Asked] = field(default_factory=dict)


def observe(
    state: GrantsState, pods: Iterable[PodView], sampled: Iterable[SampledPod], *, now: float
) -> None:
    """Take in what the kubelets have answered."""
    uids = {pod.uid for pod in pods}
    state.refusals = {uid: each for uid, each in state.refusals.items() if uid in uids}
    state.unanswered = {uid: each for uid, each in state.unanswered.items() if uid in uids}
    for each in sampled:
        _observe_pod(state, each, now)


def _observe_pod(state: GrantsState, pod: SampledPod, now: float) -> None:
    uid, pending = pod.pod.uid, pod.pod.resize_pending
    asked = state.unanswered.get(uid)
    _raise(state, uid, pod.sample.workers_wanted)
    if asked is not None and is_carried_out(pod.pod, asked.resources):
        _grant(state, uid, asked.workers)
        return
    if pending is not None and _is_newest(pod.pod, asked, now):
        why = Refusal.INFEASIBLE if pending.reason == "Infeasible" else Refusal.DEFERRED
        more = Asked(workers=_running(pod) + 1, resources=pod.pod.resources, time=now)
        cause = Cause(why, pending.message or "the node has no room")
        refuse(state, pod, asked or more, cause, now=now)
    elif asked is not None and now - asked.time > PATIENCE:
        late = f"the kubelet has not carried out the resize for {PATIENCE:g} s"
        refuse(state, pod, asked, Cause(Refusal.DEFERRED, late), now=now)


def _is_newest(pod: PodView, asked: Asked | None, now: float) -> bool:
    """Whether the pending resize is the one that was asked for last."""
    if pod.resize_pending is None or not exceeds(pod.resources, pod.actual or {}):
        return False
    return asked is None or pod.resize_pending.current or now - asked.time >= ANSWER


def _grant(state: GrantsState, uid: str, workers: int) -> None:
    state.unanswered.pop(uid, None)
    _raise(state, uid, workers)


def _raise(state: GrantsState, uid: str, workers: int) -> None:
    """The pod has the CPU and memory for so many workers."""
    known = state.refusals.get(uid)
    if known is not None and workers >= known.refused:
        del state.refusals[uid]
    elif known is not None:
        state.refusals[uid] = replace(known, granted=max(known.granted, workers))


def to_ask(state: GrantsState, pod: PodView, wanted: int, *, now: float) -> int:
    """The workers to have CPU and memory for: ``wanted``, or what may be granted of them."""
    known = state.refusals.get(pod.uid)
    if known is None:
        return wanted
    if now >= known.retry_at:
        return max(wanted, known.granted + 1)
    return wanted if wanted < known.refused else known.halfway


def may_ask(state: GrantsState, pod: PodView, resize: Asked) -> bool:
    """Whether a resize is worth a request: it was not refused, or not recently."""
    known = state.refusals.get(pod.uid)
    if known is None or resize.time >= known.retry_at:
        return True
    return resize.workers < known.refused and resize.resources != known.resources


def ask(state: GrantsState, pod: PodView, resize: Asked) -> None:
    """The API server accepted a resize."""
    if exceeds(resize.resources, pod.actual or {}):
        state.unanswered[pod.uid] = resize
    else:
        _grant(state, pod.uid, resize.workers)


def refuse(state: GrantsState, pod: SampledPod, resize: Asked, cause: Cause, *, now: float) -> None:
    """A resize was refused."""
    state.unanswered.pop(pod.pod.uid, None)
    known = state.refusals.get(pod.pod.uid)
    if known is None:
        known = _first(pod, resize, cause, now)
    elif now >= known.retry_at:
        most = LAST_RETRY_OF_TRANSIENT if cause.why in _TRANSIENT else LAST_RETRY
        delay = min(most, 2 * known.delay)
        known = replace(known, delay=delay, retry_at=now + delay)
    granted = max(_running(pod), min(known.granted, resize.workers - 1))
    state.refusals[pod.pod.uid] = replace(
        known,
        cause=cause,
        resources=resize.resources,
        granted=granted,
        refused=max(granted + 1, min(known.refused, resize.workers)),
    )


def _first(pod: SampledPod, resize: Asked, cause: Cause, now: float) -> PodRefusal:
    return PodRefusal(
        cause=cause,
        resources=resize.resources,
        granted=_running(pod),
        refused=resize.workers,
        since=now,
        retry_at=now + PATIENCE,
        delay=PATIENCE,
    )


def _running(pod: SampledPod) -> int:
    return max(1, pod.sample.workers_wanted)


def is_known(state: GrantsState, pod: PodView, found: Cause) -> bool:
    """Whether resizes of the pod were already refused for such a reason."""
    known = state.refusals.get(pod.uid)
    return known is not None and known.cause.why is found.why


def cause(error: ClusterError) -> Cause:
    """Why the API server refused a resize."""
    if isinstance(error, Invalid):
        return Cause(Refusal.INVALID, error.message)
    is_capacity = "allocatable" in error.message
    return Cause(Refusal.INFEASIBLE if is_capacity else Refusal.FORBIDDEN, error.message)


def refused(
    state: GrantsState, pods: Iterable[PodView], *, now: float
) -> tuple[RefusedResize, ...]:
    """The pods that cannot have more workers, for the right-sizer."""
    return tuple(
        RefusedResize(
            pod=pod.name,
            why=known.cause.why,
            granted=known.known(now),
            message=known.cause.message,
        )
        for pod, known in _refusals(state, pods)
    )


def errors(state: GrantsState, pods: Iterable[PodView]) -> list[str]:
    """The refusals that do not end by themselves."""
    return [
        f"resize of pod {pod.name}: {known.cause.message}"
        for pod, known in _refusals(state, pods)
        if known.cause.why is not Refusal.DEFERRED
    ]


def _refusals(state: GrantsState, pods: Iterable[PodView]) -> Iterator[tuple[PodView, PodRefusal]]:
    for pod in pods:
        if pod.uid in state.refusals:
            yield pod, state.refusals[pod.uid]
