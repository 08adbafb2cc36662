"""How often an AIApi ticks: once a minute while it is idle, and at its first request. Pure.

Idle means that a tick can change nothing and that the next one will not either: the fleet has its
smallest size and runs as decided, all pods answered, and no request is open or has arrived in the
last seconds. A fleet that is about to shrink, grow or restart is not idle.

While it is idle, its pods are watched (see rest.py). What they see ends the wait at once, and so
does a watch event. Where they cannot be watched, an idle AIApi ticks every ten seconds.

Fleets that are scraped in parts are never idle: their samples would be too old.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from zlib import crc32

from aiapi_operator.engine.fleet import Observation, SampledPod
from aiapi_operator.engine.grants import GrantsState
from aiapi_operator.engine.resizer import ResizerState
from aiapi_operator.engine.sizer import SizingResult
from aiapi_operator.observe.scrape_schedule import WHOLE_FLEET
from aiapi_operator.sizing.decision import Verdict
from aiapi_operator.sizing.inputs import PodSample, UpcomingFloor

IDLE_INTERVAL = 10.0
"""Seconds between two ticks of an idle AIApi that is not watched."""
LEAST_WATCH = 45
"""Least seconds of a watch, at whose end an idle AIApi ticks. The most is a third more."""
WATCHED_INTERVAL = 75.0
"""Seconds after which it ticks although the watch has not ended."""
UNWATCHED_TICKS = 6
"""Idle ticks without a watch, after one that ended at once for nothing: a proxy may have ended it.
Chosen: a minute."""
ASLEEP_INTERVAL = 300.0
"""Least seconds between two ticks of an AIApi without pods."""
SCHEDULE_AHEAD = 60.0
"""Seconds before a schedule from which an AIApi is not idle."""


@dataclass(slots=True)
class PaceState:
    """Seconds from the last tick to the next one, where longer than the spec's interval."""

    interval: float = 0.0
    watched_from: float | None = None
    """When the last watch began, since which the AIApi is idle."""
    unwatched: int = 0
    """Idle ticks before it may be watched again."""


def begin(state: PaceState) -> float:
    """A tick begins: the interval since the last one. Until it is idle, the spec's applies."""
    interval, state.interval = state.interval, 0.0
    if not interval:
        state.watched_from, state.unwatched = None, 0
    return interval


def may_watch(state: PaceState, result: SizingResult, now: float) -> bool:
    """Whether the pods of an idle AIApi may be watched until a tick in a minute."""
    if state.watched_from is not None and now - state.watched_from < IDLE_INTERVAL:
        state.unwatched = UNWATCHED_TICKS
    ahead = SCHEDULE_AHEAD + WATCHED_INTERVAL
    return not state.unwatched and not _begins_within(ahead, result.spec.upcoming)


def rest(state: PaceState, now: float, *, is_watched: bool) -> None:
    """A tick found the AIApi idle."""
    state.interval = WATCHED_INTERVAL if is_watched else IDLE_INTERVAL
    state.watched_from = now if is_watched else None
    state.unwatched = max(0, state.unwatched - 1)


def watch_seconds(uid: str) -> int:
    """How long a watch lasts. Each AIApi has a time of its own, so that they do not tick together.

    Those that became idle together would do so for ever.
    """
    return LEAST_WATCH + crc32(uid.encode()) % (LEAST_WATCH // 3 + 1)


def sleep(state: PaceState, uid: str, upcoming: Iterable[UpcomingFloor]) -> None:
    """No pod runs. What ends that is an event, except for a schedule.

    Each AIApi has an interval of its own, so that the thousands whose first ticks came together
    when the operator started do not tick together for ever.
    """
    own = ASLEEP_INTERVAL * (1 + crc32(uid.encode()) / 2**32)
    until = min((each.seconds for each in upcoming), default=own)
    state.interval = max(1.0, min(own, until))


def is_idle(
    observation: Observation, result: SizingResult, granted: GrantsState, resizer: ResizerState
) -> bool:
    """Whether the next tick may wait."""
    pods = observation.sampled_pods
    return (
        _is_smallest(observation, result)
        and 0 < len(pods) == len(observation.pods) == len(observation.answers) <= WHOLE_FLEET
        and not observation.apply_errors
        and not granted.refusals
        and not granted.unanswered
        and not resizer.resizing
        and result.decision.load.arrivals_per_second == 0
        and all(
            _is_at_rest(pod) and pod.sample.workers_wanted == result.decision.workers
            for pod in pods
        )
        and not _begins_within(SCHEDULE_AHEAD, result.spec.upcoming)
    )


def _is_smallest(observation: Observation, result: SizingResult) -> bool:
    """The fleet has the fewest pods and workers, and nothing else was decided."""
    decision, spec = result.decision, result.spec
    replicas = (observation.deployment or {"spec": {}})["spec"].get("replicas", 1)
    return (
        decision.verdict is Verdict.STEADY
        and decision.workers == spec.workers.min
        and decision.replicas == spec.replicas.min == replicas == len(observation.pods)
    )


def _is_at_rest(pod: SampledPod) -> bool:
    sample = pod.sample
    return (
        pod.pod.ready
        and pod.pod.resize_pending is None
        and sample.ready
        and not sample.failure
        and not sample.workers_blocked
        and sample.workers_wanted == sample.workers_ready
        and not _open_work(sample)
    )


def _open_work(sample: PodSample) -> int:
    return (
        sample.in_flight
        + sample.accept_queue_depth
        + sample.open_streams
        + sample.open_websockets
        + sample.workers_draining
    )


def _begins_within(seconds: float, upcoming: Iterable[UpcomingFloor]) -> bool:
    return any(each.seconds <= seconds for each in upcoming)
