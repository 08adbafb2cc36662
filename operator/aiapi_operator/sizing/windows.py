"""Means over the last seconds of ticks, each tick by its length."""

from bisect import bisect_right
from collections.abc import Sequence
from math import sqrt
from operator import attrgetter, mul

from aiapi_operator.sizing import histogram
from aiapi_operator.sizing.state import FAST_WINDOW, SLOW_WINDOW, Tick

_VALUES = {
    name: attrgetter(name)
    for name in (
        "arrivals",
        "completed",
        "shed",
        "in_flight",
        "loop",
        "workers",
        "busiest",
        "upstream",
        "throttled",
        "cpu",
        "retried",
    )
}
_SECONDS = attrgetter("seconds")
_TIME = attrgetter("time")
UNEVEN_POWER = 8
CERTAIN_SIGMAS = 2.0
WAITING_SHARE = 0.05
"""Calls that wait for a thread for each that has one, from which that shows in the latency."""
MIN_REQUESTS = 200
"""Requests. With 200 the p95 has 10 above it, and moves by about 30 % of its spread."""


def append(ticks: tuple[Tick, ...], tick: Tick | None, *, now: float) -> tuple[Tick, ...]:
    """Add a tick and forget those that ended before the slow window."""
    kept = ticks[bisect_right(ticks, now - SLOW_WINDOW, key=_TIME) :]
    return kept if tick is None else (*kept, tick)


def last(ticks: tuple[Tick, ...], *, now: float, seconds: float) -> tuple[Tick, ...]:
    """The ticks that ended in the last ``seconds``; at least the newest one."""
    first = bisect_right(ticks, now - seconds + 1e-6, key=_TIME)
    return ticks[first:] or ticks[-1:]


def mean(ticks: Sequence[Tick], name: str) -> float:
    """Mean of one rate over ``ticks``: 25 a second for 2 s and 40 for 1 s are 30 a second."""
    seconds = tuple(map(_SECONDS, ticks))
    return float(sum(map(mul, map(_VALUES[name], ticks), seconds)) / sum(seconds))


def span(ticks: Sequence[Tick]) -> float:
    """Seconds that ``ticks`` cover."""
    return float(sum(map(_SECONDS, ticks)))


def latencies(ticks: Sequence[Tick]) -> tuple[tuple[float, ...], histogram.Counts]:
    """Merged latencies of the ticks that have the newest one's bounds."""
    bounds = ticks[-1].bounds if ticks else ()
    counts = [
        tick.counts for tick in ticks if tick.counts and histogram.same_bounds(tick.bounds, bounds)
    ]
    return bounds, histogram.merge(counts) if counts else ()


def latency(
    ticks: tuple[Tick, ...], percent: float, *, least: float = FAST_WINDOW
) -> histogram.Percentile | None:
    """The percentile now: over as few of the newest ticks as have enough requests for it."""
    chosen: list[Tick] = []
    requests, seconds = 0, 0.0
    for tick in reversed(ticks):
        chosen.append(tick)
        requests += sum(tick.counts)
        seconds += tick.seconds
        if requests >= MIN_REQUESTS and seconds >= least:
            break
    chosen.reverse()
    bounds, counts = latencies(chosen)
    return histogram.percentile(bounds, counts, percent)


def peak_utilization(ticks: tuple[Tick, ...], *, now: float, latency: float) -> float:
    """The highest utilisation of any loop while the requests that end now were served.

    A request that took 4 s and ended in the last 6 s may have waited in a queue 10 s ago,
    when the fleet was smaller: its latency is that queue's, not of the loops as they are now.
    """
    return max(tick.busiest for tick in _reach(ticks, now=now, latency=latency))


def waited_for_threads(ticks: tuple[Tick, ...], *, now: float, latency: float) -> bool:
    """Whether calls waited for threads while the requests that end now were served."""
    return any(map(waits_for_threads, _reach(ticks, now=now, latency=latency)))


def _reach(ticks: tuple[Tick, ...], *, now: float, latency: float) -> tuple[Tick, ...]:
    return last(ticks, now=now, seconds=min(SLOW_WINDOW, latency + FAST_WINDOW))


def heaviest(ticks: tuple[Tick, ...], *, now: float, seconds: float) -> float:
    """Part of the load that each of the fullest pods always had, in the last ``seconds``.

    The least of the ticks': that some pods are ahead of the others for a tick is chance. A part,
    for the load may have risen since: what three pods had to do, a fourth that has just come
    takes off them as connections find it, no sooner.
    """
    parts = (t.heaviest / t.loop for t in last(ticks, now=now, seconds=seconds) if t.loop > 0)
    return min(parts, default=0.0)


def uneven(loads: Sequence[float]) -> float:
    """What a pod must be able to do where pods have ``loads`` to do, each counted by its load.

    The power mean, since requests in a pod that is too full are late by far more than those in
    a pod with room to spare are early. Three pods with 1 and a new one with nothing: 1, though
    the mean is 0.75. Seven with 1 and one with 1.3: 1.1. The one is too full, but an eighth of
    the requests is a small part of a percentile.
    """
    most = max(loads)
    if most <= 0:
        return 0.0
    mean = sum(load * (load / most) ** UNEVEN_POWER for load in loads) / sum(loads)
    return float(most * mean ** (1 / UNEVEN_POWER))


def certain_loop(ticks: Sequence[Tick], service: float | None) -> float:
    """Loop seconds a second that were used, less what chance may have added.

    n requests whose costs are exponential around c use n c +- c sqrt(2 n). 320 a second for 6 s
    at 20 ms: 6.4 a second, of which 6.4 - 2 x 0.02 x sqrt(2 x 320 / 6) = 6.0 are certain.
    """
    loop = mean(ticks, "loop")
    return max(0.0, loop - CERTAIN_SIGMAS * sqrt(2 * (service or 0.0) * loop / span(ticks)))


def waits_for_threads(tick: Tick) -> bool:
    """Whether calls waited for threads so much that it shows in the latency."""
    return bool(tick.threads) and any(
        each.waiting > WAITING_SHARE * each.busy for each in tick.threads
    )


def undisturbed(ticks: tuple[Tick, ...], *, limit: float) -> list[Tick]:
    """Ticks with latencies in which, and for the fast window before, no loop was over ``limit``.

    Nor did requests wait for threads: that is no part of what a request takes by itself.
    """
    chosen = []
    disturbed = float("-inf")
    for tick in ticks:
        if tick.busiest > limit or (tick.threads and waits_for_threads(tick)):
            disturbed = tick.time
        elif tick.counts and tick.time - disturbed > FAST_WINDOW:
            chosen.append(tick)
    return chosen
