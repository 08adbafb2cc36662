"""Estimates the base latency b: the objective's percentile without queueing for the loop.

It is measured in ticks in which the busiest pod was idle enough, less the small queueing delay in
them. Well-sized loops are seldom idle, so between measurements b follows the upstream time: if a
request waits 600 ms for its upstream instead of 300, b doubles.

    b = b then x (upstream then + growth) / upstream then

The measured upstream time ends when the loop resumes the request, so it includes a queueing time,
about as long as the one before the call. Therefore growth is the change of the difference (upstream
time - all other time of the request). Changes under a tenth are ignored.

Example: b = 520 ms was measured while a request waited 300 ms for its upstream and spent 25 ms at
the loop. Now these are 340 and 65 ms: 340 - 65 equals 300 - 25, so the loops are busier and b is
unchanged. With 930 and 55 ms, 875 instead of 275: b = 520 x 900 / 300 = 1560 ms.
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
"""Utilization of the busiest pod up to which the queueing delay is small and well modeled."""
FIRST_IDLE_ENOUGH = 0.7
"""The same while no base latency is known: fleets stay below it until one is."""
USUAL_QUEUEING = 1.5
"""Queueing delay at an idle loop, relative to a queue that is visited once."""
MIN_REQUESTS = 50
"""Requests needed to measure the base latency."""
CALM_RISES = 600.0
CALM_FALLS = 20.0
"""Time constants in seconds with which the calm level follows a higher or lower base."""
MOVES = 0.1
"""Relative change of the upstream time below which it is ignored."""
MIN_UPSTREAM_REQUESTS = 200
"""Requests needed for the upstream time. Waits vary by about half: their mean by 4 %."""
SECONDS = 30.0
"""Seconds to look back if the last 6 s have too few requests."""


def estimate(
    ticks: tuple[Tick, ...],
    *,
    objective: LatencyObjective,
    service: ServiceDemand | None,
    last: BaseLatency | None,
    now: float,
) -> BaseLatency | None:
    """The base latency, or the last known one if it cannot be measured now."""
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
    """The upstream time of a request, and the excess over all its other time."""
    completed = windows.mean(ticks, "completed")
    upstream = windows.mean(ticks, "upstream")
    if completed <= 0 or upstream <= 0:
        return None
    apart = (2 * upstream - windows.mean(ticks, "in_flight")) / completed
    return BaseReference(upstream=upstream / completed, apart=apart, base=base)


def _moved(last: BaseLatency, ticks: tuple[Tick, ...], *, now: float) -> BaseLatency:
    """The base latency adjusted to the current upstream time."""
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
