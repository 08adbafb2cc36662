"""How often an AIApi ticks: every ten seconds while it is idle. Pure.

Idle means that a tick can change nothing and that the next one will not either: the fleet has its
smallest size and runs as decided, all pods answered, and no request is open or has arrived in the
last seconds. A fleet that is about to shrink, grow or restart is not idle. A watch event ends the
wait at once; a first request is seen after ten seconds at most.

Fleets that are scraped in parts are never idle: their samples would be too old.

Most ticks of an idle AIApi are only a look: they end after the scrape if it shows nothing new, and
no object has changed. A whole tick comes every 50 s, for what changes with time alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from zlib import crc32

from aiapi_operator.engine.autoscalers import ForeignAutoscaler
from aiapi_operator.engine.fleet import Observation, SampledPod
from aiapi_operator.engine.grants import GrantsState
from aiapi_operator.engine.resizer import ResizerState
from aiapi_operator.engine.sizer import SizingResult
from aiapi_operator.observe.scrape_schedule import WHOLE_FLEET
from aiapi_operator.sizing.decision import Verdict
from aiapi_operator.sizing.inputs import PodSample, UpcomingFloor

IDLE_INTERVAL = 10.0
"""Seconds between two ticks."""
ASLEEP_INTERVAL = 300.0
"""Least seconds between two ticks of an AIApi without pods."""
SCHEDULE_AHEAD = 60.0
"""Seconds before a schedule from which an AIApi is not idle."""
QUIET = 7
"""Whole ticks before the first look. They span a minute, so no window has a request any more."""
LOOKS = 4
"""Looks between two whole ticks, which are then 50 s apart. Numbers in the status are written once
a minute."""


@dataclass(slots=True)
class PaceState:
    """Seconds from the last tick to the next one, where longer than the spec's interval."""

    interval: float = 0.0
    quiet: int = 0
    """Whole ticks in a row that found the AIApi idle."""
    looks: int = 0
    """Looks that may follow before a whole tick."""
    found: object = None
    """What the last whole tick found."""


def begin(state: PaceState) -> float:
    """A tick begins: the interval since the last one. Until it is idle, the spec's applies."""
    interval, state.interval = state.interval, 0.0
    if not interval:
        state.quiet = 0
    return interval


def rest(
    state: PaceState,
    observation: Observation,
    others: Sequence[ForeignAutoscaler],
    result: SizingResult,
) -> None:
    """A whole tick found the AIApi idle."""
    state.interval = IDLE_INTERVAL
    state.quiet += 1
    ahead = SCHEDULE_AHEAD + (LOOKS + 1) * IDLE_INTERVAL
    may_look = state.quiet >= QUIET and not _begins_within(ahead, result.spec.upcoming)
    state.looks = LOOKS if may_look else 0
    state.found = _found(observation, others)


def may_look(
    state: PaceState,
    observation: Observation,
    others: Sequence[ForeignAutoscaler],
    interval: float,
) -> bool:
    """Whether a look is enough, if the samples show nothing new. ``interval`` is that of before."""
    return (
        interval == IDLE_INTERVAL
        and state.looks > 0
        and state.found == _found(observation, others)
        and not observation.apply_errors
        and len(observation.sampled_pods) == len(observation.answers)
        and all(map(_is_at_rest, observation.sampled_pods))
    )


def look(state: PaceState) -> None:
    """A look showed nothing new."""
    state.interval = IDLE_INTERVAL
    state.looks -= 1


def _found(observation: Observation, others: Sequence[ForeignAutoscaler]) -> tuple[object, ...]:
    """All of a tick's input but the samples."""
    generation = observation.aiapi.metadata.generation
    return generation, observation.deployment, observation.pods, tuple(others)


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
