"""Means and percentiles over recent ticks, weighted by their length."""

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
"""Calls waiting for a thread per busy thread from which the latency is affected."""
MIN_REQUESTS = 200
"""Requests for a percentile. With 200, the p95 has 10 above it and varies by about 30 % of its
spread."""


def append(ticks: tuple[Tick, ...], tick: Tick | None, *, now: float) -> tuple[Tick, ...]:
    """Adds a tick and drops those that ended before the slow window."""
    kept = ticks[bisect_right(ticks, now - SLOW_WINDOW, key=_TIME) :]
    return kept if tick is None else (*kept, tick)


def last(ticks: tuple[Tick, ...], *, now: float, seconds: float) -> tuple[Tick, ...]:
    """The ticks that ended in the last ``seconds``; at least the newest one."""
    first = bisect_right(ticks, now - seconds + 1e-6, key=_TIME)
    return ticks[first:] or ticks[-1:]


def mean(ticks: Sequence[Tick], name: str) -> float:
    """Mean of one rate over ``ticks``: 25 per second for 2 s and 40 for 1 s are 30 per second."""
    seconds = tuple(map(_SECONDS, ticks))
    return float(sum(map(mul, map(_VALUES[name], ticks), seconds)) / sum(seconds))


def span(ticks: Sequence[Tick]) -> float:
    """Seconds covered by ``ticks``."""
    return float(sum(map(_SECONDS, ticks)))


def latencies(ticks: Sequence[Tick]) -> tuple[tuple[float, ...], histogram.Counts]:
    """Merged latencies of the ticks with the same bounds as the newest one."""
    bounds = ticks[-1].bounds if ticks else ()
    counts = [
        tick.counts for tick in ticks if tick.counts and histogram.same_bounds(tick.bounds, bounds)
    ]
    return bounds, histogram.merge(counts) if counts else ()


def latency(
    ticks: tuple[Tick, ...], percent: float, *, least: float = FAST_WINDOW
) -> histogram.Percentile | None:
    """The current percentile, from as few of the newest ticks as have enough requests."""
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
    """The highest utilization of any loop while the requests that complete now were served.

    A request that took 4 s and completed in the last 6 s may have waited in a queue 10 s ago, when
    the fleet was smaller: its latency belongs to that queue, not to the current loops.
    """
    return max(tick.busiest for tick in _reach(ticks, now=now, latency=latency))


def waited_for_threads(ticks: tuple[Tick, ...], *, now: float, latency: float) -> bool:
    """Whether calls waited for threads while the requests that complete now were served."""
    return any(map(waits_for_threads, _reach(ticks, now=now, latency=latency)))


def _reach(ticks: tuple[Tick, ...], *, now: float, latency: float) -> tuple[Tick, ...]:
    return last(ticks, now=now, seconds=min(SLOW_WINDOW, latency + FAST_WINDOW))


def heaviest(ticks: tuple[Tick, ...], *, now: float, seconds: float) -> float:
    """The share of the load that each of the fullest pods had throughout the last ``seconds``.

    The minimum over the ticks, because a single tick varies by chance. A share, because the load
    may have risen since: a new pod takes load from the others only as connections move to it.
    """
    parts = (t.heaviest / t.loop for t in last(ticks, now=now, seconds=seconds) if t.loop > 0)
    return min(parts, default=0.0)


def uneven(loads: Sequence[float]) -> float:
    """The capacity that a pod needs if pods have ``loads``, each weighted by its load.

    The power mean, because requests in an overloaded pod are delayed by far more than those in a
    pod with spare capacity gain. Three pods with 1 and a new one with nothing: 1, though the mean
    is 0.75. Seven with 1 and one with 1.3: 1.1. The one is overloaded, but an eighth of the
    requests is a small part of a percentile.
    """
    most = max(loads)
    if most <= 0:
        return 0.0
    mean = sum(load * (load / most) ** UNEVEN_POWER for load in loads) / sum(loads)
    return float(most * mean ** (1 / UNEVEN_POWER))


def certain_loop(ticks: Sequence[Tick], service: float | None) -> float:
    """Loop seconds used per second, less what chance may have added.

    n requests with exponential costs around c use n c +- c sqrt(2 n). 320 rps for 6 s at 20 ms: 6.4
    per second, of which 6.4 - 2 x 0.02 x sqrt(2 x 320 / 6) = 6.0 are certain.
    """
    loop = mean(ticks, "loop")
    return max(0.0, loop - CERTAIN_SIGMAS * sqrt(2 * (service or 0.0) * loop / span(ticks)))


def waits_for_threads(tick: Tick) -> bool:
    """Whether calls waited for threads long enough to affect the latency."""
    return bool(tick.threads) and any(
        each.waiting > WAITING_SHARE * each.busy for each in tick.threads
    )


def undisturbed(ticks: tuple[Tick, ...], *, limit: float) -> list[Tick]:
    """Ticks with latencies in which no loop was over ``limit``, nor during the fast window before.

    Ticks in which requests waited for threads are excluded, too.
    """
    chosen = []
    disturbed = float("-inf")
    for tick in ticks:
        if tick.busiest > limit or (tick.threads and waits_for_threads(tick)):
            disturbed = tick.time
        elif tick.counts and tick.time - disturbed > FAST_WINDOW:
            chosen.append(tick)
    return chosen
