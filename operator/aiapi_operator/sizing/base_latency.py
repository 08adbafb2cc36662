"""Base latency b: what the objective's percentile would be if no request queued for a loop.

It is read off ticks in which the busiest pod was idle enough, less the little queueing there was.
Loops that are sized well are seldom idle, so between two such readings it is moved by what
upstreams take: where a request waits for 600 ms instead of 300, b doubles.

    b = b then x (upstream then + growth) / upstream then

The wait for an upstream ends when the loop takes the request up again, so it is measured with a
queue in it, and that is about as long as the queue before the call. The growth is therefore that
of the difference: (upstream - the rest of the request's time) now, less the same then. It counts
from a tenth on.

b = 520 ms was read while a request waited 300 ms for its upstream and was 25 ms at the loop. Now
these are 340 and 65 ms: 340 - 65 is what 300 - 25 was, so loops are fuller and b is the same. 930
and 55 ms: 875 instead of 275, and b = 520 x 900 / 300 = 1560 ms.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import exp

from aiapi_operator.sizing import capacity, histogram, windows
from aiapi_operator.sizing.inputs import LatencyObjective
from aiapi_operator.sizing.state import (
    FAST_WINDOW,
    BaseLatency,
    BaseReference,
    ServiceDemand,
    Tick,
)

IDLE_ENOUGH = 0.5
"""Utilisation of the busiest pod up to which the delay is small and the model good."""
FIRST_IDLE_ENOUGH = 0.7
"""The same while no base is known at all: fleets are held below it until one is."""
USUAL_QUEUEING = 1.5
"""The delay at a loop that is idle enough, over that of a queue which is visited once."""
MIN_REQUESTS = 50
"""Requests for a base latency."""
CALM_RISES = 600.0
CALM_FALLS = 20.0
"""Seconds in which the calm level comes to 1/e of a higher or lower base."""
MOVES = 0.1
"""Growth of the wait for upstreams that counts, as a part of it."""
MIN_UPSTREAM_REQUESTS = 200
"""Requests for what upstreams take now. Waits vary by about half: their mean by 4 %."""
SECONDS = 30.0
"""Seconds to look back for them where 6 s have fewer."""


def estimate(
    ticks: tuple[Tick, ...],
    *,
    objective: LatencyObjective,
    service: ServiceDemand | None,
    last: BaseLatency | None,
    now: float,
) -> BaseLatency | None:
    """The latency that the loop has no part in, or what was known before."""
    if last is not None and last.percentile != objective.percentile:
        last = None
    idle = windows.undisturbed(ticks, limit=FIRST_IDLE_ENOUGH if last is None else IDLE_ENOUGH)
    bounds, counts = windows.latencies(idle)
    read = histogram.percentile(bounds, counts, objective.percentile)
    if read is None or sum(counts) < MIN_REQUESTS:
        return None if last is None else _moved(last, ticks, now=now)
    rho = windows.mean(idle, "busiest")
    queueing = 0.0 if service is None else capacity.queueing_delay(service.seconds, objective, rho)
    value = max(0.0, read.seconds - USUAL_QUEUEING * queueing)
    calm = value if last is None else _calm(last, value, now)
    return BaseLatency(
        percentile=objective.percentile,
        current=value,
        calm=calm,
        time=now,
        reference=_waits(idle, value),
    )


def _waits(ticks: Sequence[Tick], base: float) -> BaseReference | None:
    """What a request waits for upstreams, and how much more than for all else."""
    completed = windows.mean(ticks, "completed")
    upstream = windows.mean(ticks, "upstream")
    if completed <= 0 or upstream <= 0:
        return None
    apart = (2 * upstream - windows.mean(ticks, "in_flight")) / completed
    return BaseReference(upstream=upstream / completed, apart=apart, base=base)


def _moved(last: BaseLatency, ticks: tuple[Tick, ...], *, now: float) -> BaseLatency:
    """The base by what upstreams take now; the calm level follows in its own time."""
    recent = windows.last(ticks, now=now, seconds=FAST_WINDOW)
    if windows.mean(recent, "completed") * windows.span(recent) < MIN_UPSTREAM_REQUESTS:
        recent = windows.last(ticks, now=now, seconds=SECONDS)
    found = _waits(recent, last.current)
    if found is None:
        return last
    known = last.reference or found
    growth = (found.apart - known.apart) / known.upstream
    value = known.base * (1 + growth) if abs(growth) >= MOVES else known.base
    if growth <= -1 or abs(value - last.current) < MOVES * last.current:
        value = last.current
    return replace(
        last,
        current=value,
        calm=_calm(last, value, now),
        time=now,
        reference=known,
        moved=last.moved if value == last.current else now,
    )


def _calm(last: BaseLatency, value: float, now: float) -> float:
    seconds = CALM_RISES if value > last.calm else CALM_FALLS
    weight = 1 - exp(-max(0.0, now - last.time) / seconds)
    return last.calm + weight * (value - last.calm)
