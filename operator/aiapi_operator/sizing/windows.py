"""Means and percentiles over recent ticks, weighted by their length."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import sqrt
from operator import attrgetter, mul

from aiapi_operator.sizing import histogram
from aiapi_operator.sizing.inputs import LatencyObjective, ObjectiveKind
from aiapi_operator.sizing.plan import PLANNED
from aiapi_operator.sizing.state import FAST_WINDOW, SLOW_WINDOW, Latencies, Tick

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
        "waited",
        "retried",
    )
}
_SECONDS = attrgetter("seconds")
_TIME = attrgetter("time")
UNEVEN_POWER = 8
"""Exponent of the power mean of pods' loads. Chosen: one overloaded pod of eight counts little."""
WAITING_SHARE = 0.05
"""Share of waiting calls, per busy thread, from which latency is affected. Chosen: a call
then waits 5 % as long as it holds its thread."""
MIN_REQUESTS = 200
"""Requests for a mean or a percentile. The mean of 200 exponential costs is within 7 %; ten of them
are above the p95, which varies by about 30 % of its spread."""
CHANCE = 2.0
"""Sigmas up to which a difference may be chance. One in 40 readings exceeds them."""
MOSTLY = 0.5
"""Share from which it is most of them. By definition."""


def append(ticks: tuple[Tick, ...], tick: Tick | None, *, now: float) -> tuple[Tick, ...]:
    """Adds a tick and drops those that ended before the slow window."""
    kept = ticks[bisect_right(ticks, now - SLOW_WINDOW, key=_TIME) :]
    return kept if tick is None else (*kept, tick)


def parts(tick: Tick | None, interval: float) -> Sequence[Tick]:
    """A tick in the parts that windows can tell apart, as if an idle fleet had ticked as usual.

    Example: 46 s since the last tick, at an interval of 2 s. The parts have 40, 2, 2 and 2 s. Two
    seconds later the fast window has the new tick and 4 s of this one, and not 46.
    """
    if tick is None:
        return ()
    if tick.seconds <= 1.5 * max(FAST_WINDOW, interval):
        return (tick,)
    many = max(1, round(FAST_WINDOW / interval))
    length = FAST_WINDOW / many
    # Counts belong to the part that ends now: they cannot be divided, and count once.
    older = replace(tick, counts=(), first_byte=((), ()))
    before = [
        replace(older, time=tick.time - each * length, seconds=length)
        for each in range(many - 1, 0, -1)
    ]
    rest = replace(older, time=tick.time - FAST_WINDOW, seconds=tick.seconds - FAST_WINDOW)
    return (rest, *before, replace(tick, seconds=length))


def last(ticks: tuple[Tick, ...], *, now: float, seconds: float) -> tuple[Tick, ...]:
    """The ticks that ended in the last ``seconds``; at least the newest one."""
    first = bisect_right(ticks, now - seconds + 1e-6, key=_TIME)
    return ticks[first:] or ticks[-1:]


def mean(ticks: Sequence[Tick], name: str) -> float:
    """Mean of one rate over ``ticks``: 25 per second for 2 s and 40 for 1 s are 30 per second."""
    return means(ticks)(name)


def means(ticks: Sequence[Tick]) -> Callable[[str], float]:
    """``mean`` of these ticks, for several rates."""
    seconds = tuple(map(_SECONDS, ticks))
    length = sum(seconds)
    return lambda name: float(sum(map(mul, map(_VALUES[name], ticks), seconds)) / length)


def span(ticks: Sequence[Tick]) -> float:
    """Seconds covered by ``ticks``."""
    return float(sum(map(_SECONDS, ticks)))


def histogram_of(tick: Tick, kind: ObjectiveKind) -> Latencies:
    """Bounds and counts of the times that objectives of this kind are for."""
    return tick.first_byte if kind is ObjectiveKind.FIRST_BYTE else (tick.bounds, tick.counts)


def latencies(
    ticks: Sequence[Tick], kind: ObjectiveKind = ObjectiveKind.LATENCY
) -> tuple[tuple[float, ...], histogram.Counts]:
    """Merged latencies of the ticks with the same bounds as the newest one."""
    found = [histogram_of(tick, kind) for tick in ticks]
    bounds = found[-1][0] if found else ()
    parts = [counts for others, counts in found if counts and histogram.same_bounds(others, bounds)]
    return bounds, histogram.merge(parts) if parts else ()


def latency(
    ticks: tuple[Tick, ...], objective: LatencyObjective, *, least: float = FAST_WINDOW
) -> histogram.Percentile | None:
    """The objective's percentile now, from as few of the newest ticks as have enough requests."""
    bounds = histogram_of(ticks[-1], objective.kind)[0] if ticks else ()
    parts: list[histogram.Counts] = []
    requests, seconds = 0, 0.0
    for tick in reversed(ticks):
        others, counts = histogram_of(tick, objective.kind)
        many = sum(counts)
        if many > 0 and histogram.same_bounds(others, bounds):
            parts.append(counts)
        requests += many
        seconds += tick.seconds
        if requests >= MIN_REQUESTS and seconds >= least:
            break
    merged = histogram.merge(parts) if parts else ()
    return histogram.percentile(bounds, merged, objective.percentile)


def peak_utilization(ticks: tuple[Tick, ...], *, now: float, latency: float) -> float:
    """The highest utilization of loops while the requests that complete now were served.

    That of the fleet in one tick, or of the busiest loop throughout a fast window. The busiest loop
    of one tick is mostly chance: with 6 requests of 100 ms per second it is 60 % busy, and 85 % or
    more in one of ten ticks of 2 s.

    A request that took 4 s and completed in the last 6 s may have waited in a queue 10 s ago, when
    the fleet was smaller: its latency belongs to that queue, not to the current loops.
    """
    recent = last(ticks, now=now, seconds=min(SLOW_WINDOW, latency))
    ends = range(len(ticks) - len(recent) + 1, len(ticks) + 1)
    throughout = max(min(tick.busiest for tick in _fast_window(ticks[:end])) for end in ends)
    return max(throughout, *map(_beyond_chance, _reach(ticks, now=now, latency=latency)))


def _fast_window(ticks: tuple[Tick, ...]) -> tuple[Tick, ...]:
    return last(ticks, now=ticks[-1].time, seconds=FAST_WINDOW)


def _beyond_chance(tick: Tick) -> float:
    """The utilization of the fleet's loops, less one sigma of independent arrivals.

    The highest of five ticks is 1.2 sigmas above the mean. 100 requests keep loops 60 % busy: that
    varies by 10 %, so the highest of five is 67 %, of which 60 % are beyond chance.
    """
    requests = tick.arrivals * tick.seconds
    if requests <= 1 or tick.workers <= 0:
        return 0.0
    return tick.loop / tick.workers * (1 - 1 / sqrt(requests))


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


def planned_share(limit: int) -> float:
    """Share of a worker's threads that can be busy before calls wait for one (Halfin-Whitt)."""
    return min(PLANNED, 1 - 0.632 / sqrt(limit))


def calls_in_threads(ticks: Sequence[Tick]) -> float:
    """Calls that hold a thread or wait for one. They are not at a loop."""
    calls = (tick.seconds * (each.busy + each.waiting) for tick in ticks for each in tick.threads)
    return sum(calls) / span(ticks)


def loops_when_threads_run_out(ticks: Sequence[Tick], target: float) -> float:
    """How busy loops get at most: ``target``, or less where threads run out before.

    Loops 10 % busy with 40 % of the threads: with 80 % of the threads loops are 20 % busy.
    """
    loop = sum(tick.loop * tick.seconds for tick in ticks)
    workers = sum(tick.workers * tick.seconds for tick in ticks)
    held: dict[str, float] = {}
    limit: dict[str, int] = {}
    for tick in ticks:
        for pool in tick.threads:
            held[pool.name] = held.get(pool.name, 0.0) + pool.busy * tick.seconds
            limit[pool.name] = pool.limit
    for name, busy in held.items():
        if busy > 0.05 * limit[name] * workers:
            target = min(target, planned_share(limit[name]) * limit[name] * loop / busy)
    return target


def waits_for_threads(tick: Tick) -> bool:
    """Whether calls waited for threads long enough to affect the latency."""
    return bool(tick.threads) and any(
        each.waiting > WAITING_SHARE * each.busy for each in tick.threads
    )
