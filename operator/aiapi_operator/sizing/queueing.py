"""Learns the queueing factor q: the queueing time relative to the model in capacity.py.

It is measured over 30 s whenever loops are about as busy as planned:

    q = (measured percentile - base latency) / (k x rho / (1 - rho))

c = 20 ms at p95: k = 60 ms. At rho = 0.74 the percentile is 780 ms with a base of 530 ms: q = 250 /
(60 x 2.85) = 1.46. Two visits to the loop, before and after an upstream call, account for about
1.5, and that is the initial value.

q is the mean of the readings of at most the last five minutes of full load. Readings at less busy
loops weigh less; one taken while the objective was missed weighs three times. Half of all minutes
are worse than the mean, so the plan uses q x (1 + sigma), where sigma is the relative standard
deviation of the readings: 0.05 in a large, steady fleet, which can run close to its capacity, and
0.3 in one of six workers, where chance matters more.

Ticks in which loops were full, and the seconds after, show a backlog and not the queueing at a
utilization. They are not used for q, and neither is a latency that upstreams alone explain.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from aiapi_operator.sizing import histogram, windows
from aiapi_operator.sizing.inputs import LatencyObjective
from aiapi_operator.sizing.state import FAST_WINDOW, Queueing, Tick

SECONDS = 30.0
"""Half of the window in which an objective is evaluated."""
MIN_SHARE = 0.7
"""Share of ``SECONDS`` that must remain without full loops."""
FULL = 0.92
MIN_FACTOR, MAX_FACTOR = 0.5, 3.0
"""Bounds of a reading: values outside indicate an error of the base latency."""
REMEMBERS = 300.0
"""Seconds of full load that the mean covers."""
FIRST_WEIGHT = 20.0
"""Seconds that the initial value counts for."""
MISSED_WEIGHT = 3.0
BEYOND = 1.5
"""rho / (1 - rho) relative to the planned value, up to which loops are as busy as planned."""
MAX_STEP = 10.0
"""Maximum seconds since the last reading that a reading counts for."""
MAX_BUSY = 0.95


MARGIN = 1.0
"""Standard deviations of the readings that the plan allows for."""


def planned_factor(found: Queueing) -> float:
    """q with its margin, as used for the target."""
    return found.factor * (1 + MARGIN * sqrt(found.variance))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanAssumptions:
    """What the plan assumes: latencies in seconds, and the planned utilization (0..1)."""

    objective: LatencyObjective
    k: float
    """See ``capacity.tail``."""
    base: float
    since: float
    """Time of the last change of the base latency."""
    utilization: float


def learn(
    last: Queueing, ticks: tuple[Tick, ...], assumed: PlanAssumptions, *, now: float
) -> Queueing:
    """q updated with the last 30 s, if they are usable."""
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
    """Ticks with latencies in which loops were not full, nor during the fast window before."""
    chosen = []
    full = float("-inf")
    for tick in ticks:
        if tick.loop >= FULL * tick.workers:
            full = tick.time
        elif tick.counts and tick.time - full > FAST_WINDOW:
            chosen.append(tick)
    return chosen


def _busy(ticks: list[Tick]) -> float:
    """rho / (1 - rho) as experienced by requests: in groups of ticks, weighted by the uneven
    load."""
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
