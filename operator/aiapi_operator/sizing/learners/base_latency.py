"""Base latency b: the objective's percentile if no request queued for a loop.

It is measured in ticks in which the busiest pod is idle enough, less the little queueing there is.
Well-sized loops are seldom idle. Between two measurements, b follows the time that requests wait
for upstreams: if a request waits 600 ms instead of 300, b doubles.

    b = b then x (upstream then + growth) / upstream then

The wait for an upstream ends when the loop resumes the request, so it includes one queueing delay,
about as long as the delay before the call. The growth is therefore that of the difference between
the upstream time and the rest of the request's time. A growth under a tenth is ignored.

Example: b = 520 ms was measured while a request waited 300 ms for its upstream and spent 25 ms at
the loop. Now these are 340 and 65 ms: 340 - 65 equals 300 - 25, so the loops are busier and b is
unchanged. With 930 and 55 ms the difference is 875 instead of 275, and b = 520 x 900 / 300 = 1560
ms.

``calm`` is the level that b returns to. A b above it means that an upstream is slow.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp, inf
from typing import Any, TypeVar

from aiapi_operator.api.duration import format_duration, is_duration, parse_duration
from aiapi_operator.sizing import capacity, histogram, windows
from aiapi_operator.sizing.checkpoint import number, settled
from aiapi_operator.sizing.entry import Learner, Saved
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.inputs import LatencyObjective, ObjectiveKind
from aiapi_operator.sizing.learners.service_demand import ServiceDemand
from aiapi_operator.sizing.state import FAST_WINDOW, LONG_WINDOW, Tick


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseLatencyTuning:
    """Numbers of this learner."""

    idle: float = 0.5
    """Utilization of the busiest pod up to which b is measured. Below it the queueing delay is
    small and the model good."""
    first_idle: float = 0.7
    """Utilization of the busiest pod up to which the first b is measured. Until then fleets are
    planned at 0.6."""
    requests: int = 50
    """Requests for a measurement. Two or three of them are above the p95."""
    falls: float = 20.0
    """Seconds in which calm follows a lower b (to 1/e). Chosen: a lower b is no accident."""
    moves: float = 0.1
    """Share of the upstream time by which it must change to count. 2.5 times the error of its
    mean."""


TUNING = BaseLatencyTuning()
LONGEST = 3600.0
"""Seconds. A longer base latency in a checkpoint is an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamReference:
    """At the time ``base`` was measured: upstream seconds per request, and these less the rest."""

    upstream: float
    apart: float
    base: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseLatency:
    """The objective's percentile without queueing for a loop, in seconds."""

    percentile: float
    """The percentile of the objective. If it changes, b is measured again."""
    current: float
    calm: float
    time: float
    looked: float = -inf
    """When it was read or moved last."""
    reference: UpstreamReference | None = None
    """The upstream time when b was measured; None if unknown."""
    moved: float = -inf
    """When the upstream time last changed."""


B = TypeVar("B", bound=BaseLatency)


def learn(known: BaseLatency | None, facts: Facts) -> BaseLatency | None:
    """Measure b in idle ticks, or let it follow the upstream time."""
    if facts.tick is None or facts.tick.contended:
        return known
    objective = facts.spec.objective_for(ObjectiveKind.LATENCY)
    if objective is None:
        return None
    if known is not None and known.percentile != objective.percentile:
        known = None
    if known is not None and facts.now - known.looked < FAST_WINDOW:
        return known
    idle = undisturbed(facts.ticks, objective.kind, first=known is None)
    value = read(facts, objective, idle)
    if value is None:
        return None if known is None else _moved(known, facts)
    return BaseLatency(
        percentile=objective.percentile,
        current=value,
        calm=value if known is None else follow(known, value, facts.now),
        time=facts.now,
        looked=facts.now,
        reference=_waits(idle, value),
    )


def read(facts: Facts, objective: LatencyObjective, idle: Sequence[Tick]) -> float | None:
    """The objective's percentile in idle ticks, less the queueing there was."""
    bounds, counts = windows.latencies(idle, objective.kind)
    found = histogram.percentile(bounds, counts, objective.percentile)
    if found is None or sum(counts) < TUNING.requests:
        return None
    service = facts.get(ServiceDemand)
    rho = windows.mean(idle, "busiest")
    delay = 0.0 if service is None else capacity.queueing_delay(service.seconds, objective, rho)
    return max(0.0, found.seconds - capacity.VISITS * delay)


def undisturbed(ticks: Sequence[Tick], kind: ObjectiveKind, *, first: bool) -> list[Tick]:
    """Ticks in which, and for 6 s before, no loop was too busy and no call waited for a thread.

    ``first`` is while no base is known.
    """
    limit = TUNING.first_idle if first else TUNING.idle
    chosen = []
    disturbed = -inf
    for tick in ticks:
        if tick.busiest > limit or tick.contended or windows.waits_for_threads(tick):
            disturbed = tick.time
        elif windows.histogram_of(tick, kind)[1] and tick.time - disturbed > FAST_WINDOW:
            chosen.append(tick)
    return chosen


def _waits(ticks: Sequence[Tick], base: float) -> UpstreamReference | None:
    """The upstream seconds of a request, and how much longer they are than the rest of it."""
    completed = windows.mean(ticks, "completed")
    upstream = windows.mean(ticks, "upstream")
    if completed <= 0 or upstream <= 0:
        return None
    apart = (2 * upstream - windows.mean(ticks, "in_flight")) / completed
    return UpstreamReference(upstream=upstream / completed, apart=apart, base=base)


def _moved(known: BaseLatency, facts: Facts) -> BaseLatency:
    """b by the current upstream time; ``calm`` follows slowly."""
    recent = facts.recent
    if facts.mean("completed") * windows.span(recent) < windows.MIN_REQUESTS:
        recent = windows.last(facts.ticks, now=facts.now, seconds=5 * FAST_WINDOW)
    found = _waits(recent, known.current)
    if found is None:
        return replace(known, looked=facts.now)
    reference = known.reference or found
    growth = (found.apart - reference.apart) / reference.upstream
    value = reference.base * (1 + growth) if abs(growth) >= TUNING.moves else reference.base
    if growth <= -1 or abs(value - known.current) < TUNING.moves * known.current:
        value = known.current
    return replace(
        known,
        current=value,
        calm=follow(known, value, facts.now),
        time=facts.now,
        looked=facts.now,
        reference=reference,
        moved=known.moved if value == known.current else facts.now,
    )


def follow(known: BaseLatency, value: float, now: float) -> float:
    """``calm`` after some time at ``value``."""
    seconds = LONG_WINDOW if value > known.calm else TUNING.falls
    weight = 1 - exp(-max(0.0, now - known.time) / seconds)
    return known.calm + weight * (value - known.calm)


def checkpoint(known: BaseLatency, saved: Saved) -> dict[str, Any]:
    """``baseLatency``, and its ``percentile``, which the status has as ``load.percentile``."""
    text = format_duration(known.calm)
    return {
        "baseLatency": settled(text, saved, "baseLatency", parse_duration),
        "percentile": f"p{known.percentile:g}",
    }


def restore(saved: Saved) -> BaseLatency | None:
    """Read it back. Its age is unknown, so ``calm`` changes from the first measurement on."""
    return restored(BaseLatency, saved, "baseLatency", "percentile")


def restored(kind: type[B], saved: Saved, base: str, percentile: str) -> B | None:
    """A base latency by the names of its fields."""
    text = saved.get(base)
    percent = number(str(saved.get(percentile, "")).removeprefix("p"))
    if not isinstance(text, str) or not is_duration(text) or not percent:
        return None
    seconds = parse_duration(text)
    if not 0 < seconds <= LONGEST:
        return None
    return kind(percentile=percent, current=seconds, calm=seconds, time=inf)


LEARNER = Learner(
    kind=BaseLatency, learn=learn, checkpoint=checkpoint, restore=restore, tuning=TUNING
)
