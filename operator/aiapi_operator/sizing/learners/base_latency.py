"""Base latency b: what the objective's percentile would be if no request queued for a loop.

It is read from ticks in which the busiest pod was idle enough, less the little queueing there was.
Loops that are sized well are seldom idle, so between two such readings it moves with what upstreams
take: when a request waits for 600 ms instead of 300, b doubles.

    b = b then x (upstream then + growth) / upstream then

The wait for an upstream ends when the loop takes the request up again, so it is measured with one
queueing delay in it, about as long as the delay before the call. The growth is therefore that of
the difference: (upstream - the rest of the request's time) now, less the same then. It counts from
a tenth on.

b = 520 ms was read while a request waited 300 ms for its upstream and spent 25 ms at the loop. Now
these are 340 and 65 ms: 340 - 65 equals 300 - 25, so loops are fuller and b is the same. 930 and
55 ms: 875 instead of 275, and b = 520 x 900 / 300 = 1560 ms.

``calm`` is the level that b comes back to. A b above it is a slow upstream.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp, inf
from typing import Any

from aiapi_operator.api.duration import format_duration, is_duration, parse_duration
from aiapi_operator.sizing import capacity, histogram, windows
from aiapi_operator.sizing.checkpoint import number, settled
from aiapi_operator.sizing.entry import Learner, Saved
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.learners.service_demand import ServiceDemand
from aiapi_operator.sizing.state import FAST_WINDOW, Tick


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseLatencyTuning:
    """Numbers of this learner."""

    idle: float = 0.5
    """Utilization of the busiest pod up to which the delay is small and the model good."""
    first_idle: float = 0.7
    """The same while no base is known: fleets are held below it until one is."""
    requests: int = 50
    """Requests for a reading: the p95 has two or three above it."""
    rises: float = 600.0
    """Seconds in which ``calm`` follows a b that stays higher (to 1/e)."""
    falls: float = 20.0
    """The same for a b that is lower."""
    moves: float = 0.1
    """Growth of the wait for upstreams that counts, as a share of it."""
    waits: int = 200
    """Requests for what upstreams take now. Waits vary by about half: their mean by 4 %."""


TUNING = BaseLatencyTuning()
QUEUEING = 1.5
"""Delay at a loop that is idle enough, over that of a queue visited once: two visits make 1.5."""
LONGEST = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamReference:
    """When ``base`` was read: seconds a request waited for upstreams, and that less the rest."""

    upstream: float
    apart: float
    base: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseLatency:
    """The objective's percentile without queueing for a loop, in seconds."""

    percentile: float
    """The percentile this is of. Another one starts anew."""
    current: float
    calm: float
    time: float
    looked: float = -inf
    """When it was read or moved last."""
    reference: UpstreamReference | None = None
    """What upstreams took at the time; None where that is not known."""
    moved: float = -inf
    """When an upstream was seen to take another time."""


def learn(known: BaseLatency | None, facts: Facts) -> BaseLatency | None:
    """Read b from idle ticks, or move it with the upstreams."""
    if facts.tick is None or facts.tick.contended:
        return known
    objective = facts.spec.objective
    if known is not None and known.percentile != objective.percentile:
        known = None
    if known is not None and facts.now - known.looked < FAST_WINDOW:
        return known
    idle = _undisturbed(facts.ticks, TUNING.first_idle if known is None else TUNING.idle)
    bounds, counts = windows.latencies(idle)
    read = histogram.percentile(bounds, counts, objective.percentile)
    if read is None or sum(counts) < TUNING.requests:
        return None if known is None else _moved(known, facts)
    service = facts.get(ServiceDemand)
    rho = windows.mean(idle, "busiest")
    delay = 0.0 if service is None else capacity.queueing_delay(service.seconds, objective, rho)
    value = max(0.0, read.seconds - QUEUEING * delay)
    return BaseLatency(
        percentile=objective.percentile,
        current=value,
        calm=value if known is None else _calm(known, value, facts.now),
        time=facts.now,
        looked=facts.now,
        reference=_waits(idle, value),
    )


def _undisturbed(ticks: Sequence[Tick], limit: float) -> list[Tick]:
    """Ticks in which, and for 6 s before, no loop was over ``limit`` and no call waited for a
    thread."""
    chosen = []
    disturbed = -inf
    for tick in ticks:
        if tick.busiest > limit or tick.contended or windows.waits_for_threads(tick):
            disturbed = tick.time
        elif tick.counts and tick.time - disturbed > FAST_WINDOW:
            chosen.append(tick)
    return chosen


def _waits(ticks: Sequence[Tick], base: float) -> UpstreamReference | None:
    """What a request waits for upstreams, and how much more than for everything else."""
    completed = windows.mean(ticks, "completed")
    upstream = windows.mean(ticks, "upstream")
    if completed <= 0 or upstream <= 0:
        return None
    apart = (2 * upstream - windows.mean(ticks, "in_flight")) / completed
    return UpstreamReference(upstream=upstream / completed, apart=apart, base=base)


def _moved(known: BaseLatency, facts: Facts) -> BaseLatency:
    """b by what upstreams take now; ``calm`` follows in its own time."""
    recent = facts.recent
    if facts.mean("completed") * windows.span(recent) < TUNING.waits:
        recent = windows.last(facts.ticks, now=facts.now, seconds=5 * FAST_WINDOW)
    known = replace(known, looked=facts.now)
    found = _waits(recent, known.current)
    if found is None:
        return known
    reference = known.reference or found
    growth = (found.apart - reference.apart) / reference.upstream
    value = reference.base * (1 + growth) if abs(growth) >= TUNING.moves else reference.base
    if growth <= -1 or abs(value - known.current) < TUNING.moves * known.current:
        value = known.current
    return replace(
        known,
        current=value,
        calm=_calm(known, value, facts.now),
        time=facts.now,
        reference=reference,
        moved=known.moved if value == known.current else facts.now,
    )


def _calm(known: BaseLatency, value: float, now: float) -> float:
    seconds = TUNING.rises if value > known.calm else TUNING.falls
    weight = 1 - exp(-max(0.0, now - known.time) / seconds)
    return known.calm + weight * (value - known.calm)


def checkpoint(known: BaseLatency, saved: Saved) -> dict[str, Any]:
    """``baseLatency``. Its percentile is ``status.load.percentile``."""
    text = format_duration(known.calm)
    return {"baseLatency": settled(text, saved, "baseLatency", parse_duration)}


def restore(saved: Saved) -> BaseLatency | None:
    """Read it back. Whenever it was: ``calm`` moves from the first measurement on."""
    text = saved.get("baseLatency")
    percentile = number(str(saved.get("percentile", "")).removeprefix("p"))
    if not isinstance(text, str) or not is_duration(text) or not percentile:
        return None
    base = parse_duration(text)
    if not 0 < base <= LONGEST:
        return None
    return BaseLatency(percentile=percentile, current=base, calm=base, time=inf)


LEARNER = Learner(
    kind=BaseLatency, learn=learn, checkpoint=checkpoint, restore=restore, tuning=TUNING
)
