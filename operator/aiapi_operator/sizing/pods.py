"""Pods: the number of them that is cheapest for the next minutes, the move included.

Workers follow the load within seconds; pods set the steps in which they can. 24 workers are 8 pods
x 3, and one more worker than that is 8 pods x 4: a third of the fleet idle. 9 pods x 3 carry it for
less, if the need stays like that.

So each number of pods is priced for the needs that are expected, each time with as many workers as
each need takes, and the cheapest is taken where it saves more than the move costs:

    expected:  the needs of the last five minutes again, moved along their trend
    the move:  35 s of the pods that come or go, in which connections find them, and the start of
               those that come

The trend counts where both halves of the five minutes have it, less two standard errors. A fleet
that has been seen for one minute is planned for one minute: little evidence moves few pods.

5 pods x 2 for a need of 7.2, which 8 pods x 1 carry: 5.5 against 4.8 cores. Three more pods with 2
workers are 3.3 cores, for 35 + 10 s 148 core-seconds: 0.7 x 300 s = 210 saved, so they are ordered.

On a ramp the needs ahead are higher than those behind: pods are ordered before workers must be
added in all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt

from aiapi_operator.sizing import plan
from aiapi_operator.sizing.inputs import SizingSpec
from aiapi_operator.sizing.learners.need_history import EVERY
from aiapi_operator.sizing.state import Size

TOLERANCE = 0.05
"""Share by which a need may be over what runs before anything changes."""
SETTLES = 35.0
"""Seconds until most connections have found new pods, beside the time that these take to start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """What the choice depends on beside the needs."""

    running: Size
    ready: int
    """Pods that take traffic. No more are ordered for their cost before all do."""
    lead: float
    """Seconds until a pod that is ordered takes traffic."""
    survivors: float
    """The share of a need that must be there when a pod is lost."""
    fewest: int
    """Pods that must stay."""
    min_workers: int


def cheapest(spec: SizingSpec, samples: Sequence[float], market: Market) -> int:
    """The number of pods to have: those that run, unless another number saves the move's cost."""
    running = market.running
    needs = expected(samples)
    pod = plan.pod_hourly_cost(spec) + running.workers * plan.worker_hourly_cost(spec)
    here = _cost(spec, needs, running.replicas, market)
    best, gain = running.replicas, 0.0
    for pods in _candidates(spec, needs, market):
        more = pods - running.replicas
        if more > 0 and running.replicas > market.ready:
            continue
        seconds = market.lead + SETTLES if more > 0 else min(SETTLES, spec.replicas_down_after)
        saved = here - _cost(spec, needs, pods, market) - abs(more) * seconds * pod
        if saved > gain:
            best, gain = pods, saved
    return best


def expected(samples: Sequence[float]) -> list[float]:
    """The needs of the time ahead: those of the same time before, moved along their trend."""
    half = len(samples) // 2
    early, late = sure_slope(samples[:half]), sure_slope(samples[half:])
    slope = min(early, late, key=abs) if early * late > 0 else 0.0
    return [max(0.0, need + slope * len(samples)) for need in samples]


def sure_slope(values: Sequence[float]) -> float:
    """Least-squares slope per sample, less two standard errors; 0 where that changes its sign."""
    count = len(values)
    if count < 4:
        return 0.0
    middle, mean = (count - 1) / 2, sum(values) / count
    spread = count * (count * count - 1) / 12
    slope = sum([(at - middle) * value for at, value in enumerate(values)]) / spread
    rest = sum([(value - mean - slope * (at - middle)) ** 2 for at, value in enumerate(values)])
    error = 2 * sqrt(rest / (count - 2) / spread)
    return max(0.0, slope - error) if slope > 0 else min(0.0, slope + error)


def _cost(spec: SizingSpec, needs: Sequence[float], pods: int, market: Market) -> float:
    """What the needs cost with so many pods, in hourly cost x seconds."""
    left = market.survivors * pods / (pods - 1) if pods > 1 else 0.0
    part = max(1.0, left) / pods
    if pods == market.running.replicas:
        part /= 1 + TOLERANCE
    low, high = max(spec.workers.min, market.min_workers), spec.workers.max
    workers = sum([min(high, max(low, ceil(need * part - 1e-9))) for need in needs])
    pod, worker = plan.pod_hourly_cost(spec), plan.worker_hourly_cost(spec)
    return EVERY * pods * (len(needs) * pod + workers * worker)


def _candidates(spec: SizingSpec, needs: Sequence[float], market: Market) -> set[int]:
    """Numbers of pods that some need fills with whole workers: those in between cost more."""
    ordered = sorted(needs)
    found = {market.fewest}
    for need in {ordered[0], ordered[len(ordered) // 2], ordered[-1], needs[-1]}:
        for each in range(spec.workers.min, spec.workers.max + 1):
            left = ceil(need * market.survivors / each - 1e-9) + 1
            found.add(max(market.fewest, left, ceil(need / each - 1e-9)))
    found.discard(market.running.replicas)
    return {min(pods, spec.replicas.max) for pods in found if pods >= market.fewest}
