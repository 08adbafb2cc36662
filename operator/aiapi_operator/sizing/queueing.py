"""Queueing q: how much longer requests queue for loops than in the queue that capacity.py assumes.

It is measured whenever loops are about as busy as planned, from 30 s at a time:

    q = (the percentile that was read - base latency) / (k x rho / (1 - rho))

c = 20 ms at p95: k = 60 ms. At rho = 0.74 the percentile is 780 ms with a base of 530 ms:
q = 250 / (60 x 2.85) = 1.46. Two visits to the loop, one before and one after an upstream's
answer, make about 1.5 of it, and that is where it begins.

q is the mean of what was measured, over the last five minutes of full load at most. Readings at
emptier loops say less and weigh less; one that came with a missed objective weighs three times.
Half of all minutes are worse than the mean, so the plan is made with q x (1 + sigma), where
sigma is how far readings lay apart, as a part of q: 0.05 in a large and steady fleet, which may be
filled nearly to the edge, and 0.3 in one of six workers, where chance does more.

Ticks in which loops were full, and the seconds after, show a backlog and not a queue at some
utilisation. They say nothing of q, and neither does a latency that upstreams alone explain.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from aiapi_operator.sizing import histogram, windows
from aiapi_operator.sizing.inputs import LatencyObjective
from aiapi_operator.sizing.state import FAST_WINDOW, Queueing, Tick

SECONDS = 30.0
"""Half of the window that an objective is judged by."""
MIN_SHARE = 0.7
"""Part of ``SECONDS`` that must be left without full loops."""
FULL = 0.92
MIN_FACTOR, MAX_FACTOR = 0.5, 3.0
"""Bounds of a reading: what lies outside is an error of the base latency."""
REMEMBERS = 300.0
"""Seconds of full load that the mean reaches back."""
FIRST_WEIGHT = 20.0
"""Seconds that the value to begin with counts for."""
MISSED_WEIGHT = 3.0
BEYOND = 1.5
"""rho / (1 - rho) over the planned one, up to which loops are about as busy as planned."""
MAX_STEP = 10.0
"""Seconds since the last reading that a reading may count for."""
MAX_BUSY = 0.95


MARGIN = 1.0
"""Sigmas of the readings that the plan allows for."""


def planned_factor(found: Queueing) -> float:
    """q with its margin, as the target takes it."""
    return found.factor * (1 + MARGIN * sqrt(found.variance))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanAssumptions:
    """What the plan assumes: latencies in seconds, and how busy loops are to be (0..1)."""

    objective: LatencyObjective
    k: float
    """See ``capacity.tail``."""
    base: float
    since: float
    """Since when the base is what it is."""
    utilization: float


def learn(
    last: Queueing, ticks: tuple[Tick, ...], assumed: PlanAssumptions, *, now: float
) -> Queueing:
    """q with the last 30 s in it, where they say something of it."""
    recent = windows.last(ticks, now=now, seconds=min(SECONDS, now - assumed.since))
    calm = _calm(recent)
    if not calm or windows.span(calm) < MIN_SHARE * SECONDS:
        return last
    objective = assumed.objective
    read = histogram.percentile(*windows.latencies(calm), objective.percentile)
    busy, full = _busy(calm), assumed.utilization / (1 - assumed.utilization)
    unit = assumed.k * busy
    if read is None or unit <= 0 or busy > BEYOND * full:
        return last
    found = min(MAX_FACTOR, max(MIN_FACTOR, (read.seconds - assumed.base) / unit))
    weight = min(1.0, (busy / full) ** 2)
    if found > last.factor and read.seconds > objective.threshold:
        weight *= MISSED_WEIGHT
    since = MAX_STEP if last.time is None else min(MAX_STEP, now - last.time)
    return _add(last, found, seconds=weight * since, now=now)


def _add(last: Queueing, found: float, *, seconds: float, now: float) -> Queueing:
    """The running mean and variance, with a reading that counts for ``seconds``."""
    total = last.seconds + seconds
    gain = min(0.5, seconds / total)
    apart = found / last.factor - 1
    return Queueing(
        factor=last.factor + gain * (found - last.factor),
        variance=last.variance + gain * (apart * apart - last.variance),
        seconds=min(REMEMBERS, total),
        time=now,
    )


def _calm(ticks: Sequence[Tick]) -> list[Tick]:
    """Ticks with latencies in which, and for the fast window before, loops were not full."""
    chosen = []
    full = float("-inf")
    for tick in ticks:
        if tick.loop >= FULL * tick.workers:
            full = tick.time
        elif tick.counts and tick.time - full > FAST_WINDOW:
            chosen.append(tick)
    return chosen


def _busy(ticks: list[Tick]) -> float:
    """rho / (1 - rho) as requests met it: by a few ticks, and in pods that have more to do."""
    uneven = min(tick.uneven for tick in ticks)
    total = requests = 0.0
    for first in range(0, len(ticks), 3):
        part = ticks[first : first + 3]
        rho = windows.mean(part, "loop") / windows.mean(part, "workers")
        rho = min(MAX_BUSY, rho * uneven)
        came = windows.mean(part, "arrivals") * windows.span(part)
        total += came * rho / (1 - rho)
        requests += came
    return total / requests if requests > 0 else 0.0
