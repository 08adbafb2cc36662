"""Pods: the number of pods that is cheapest for the next minutes, including the cost of the move.

Workers follow the load within seconds. All pods have the same number of workers, so the number of
pods sets the size of a step. 24 workers are 8 pods x 3; for one worker more they become 8 pods x 4,
and 7 of 32 workers are spare. 9 pods x 3 carry the same need for less, if it lasts.

So each candidate number of pods is priced for the needs that are expected, with the workers that
each of them requires. The cheapest is chosen if it saves more than the move costs:

    expected needs: those of the last five minutes, shifted along their trend
    cost of a move: 35 s of the pods that are added or removed, while connections spread, plus the
                    start time of those added

The trend counts if both halves of the five minutes have it, less two standard errors. A fleet that
has been observed for one minute is planned for one minute: little evidence moves few pods.

Example: 3 pods x 3 run, at least 3 must stay, and 7.2 workers are needed, which 4 pods x 2 carry.
That is 4.4 cores instead of 4.8. A fourth pod with 3 workers is 1.6 cores, for 35 + 10 s 72
core-seconds. It saves 0.4 x 300 s = 120 core-seconds, so it is ordered. After one minute it would
save 0.4 x 60 s = 24, and it would not be.

On a ramp the expected needs exceed the past ones, so pods are ordered before workers must be added
in all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt

from aiapi_operator.sizing import plan
from aiapi_operator.sizing.inputs import SizingSpec
from aiapi_operator.sizing.learners.need_history import EVERY
from aiapi_operator.sizing.state import Size
from aiapi_operator.sizing.windows import CHANCE

SETTLES = 35.0
"""Seconds until most connections are on new pods, after these are ready. Assumed: it depends on the
clients."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """What the choice depends on, in addition to the needs."""

    running: Size
    ready: int
    """Pods that take traffic. While fewer than running, no more are ordered to save cost."""
    lead: float
    """Seconds until a new pod takes traffic."""
    survivors: float
    """Share of a need that must remain when a pod is lost."""
    fewest: int
    """Minimum number of pods."""
    min_workers: int


def cheapest(spec: SizingSpec, samples: Sequence[float], market: Market) -> int:
    """The desired number of pods: the running one, unless another saves more than the move
    costs."""
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
    """The needs of the next minutes: those of as many past minutes, shifted along their trend."""
    half = len(samples) // 2
    early, late = sure_slope(samples[:half]), sure_slope(samples[half:])
    slope = min(early, late, key=abs) if early * late > 0 else 0.0
    return [max(0.0, need + slope * len(samples)) for need in samples]


def sure_slope(values: Sequence[float]) -> float:
    """Least-squares slope per sample, less two standard errors; 0 if that changes its sign."""
    count = len(values)
    if count < 4:
        return 0.0
    middle, mean = (count - 1) / 2, sum(values) / count
    spread = count * (count * count - 1) / 12
    slope = sum([(at - middle) * value for at, value in enumerate(values)]) / spread
    rest = sum([(value - mean - slope * (at - middle)) ** 2 for at, value in enumerate(values)])
    error = CHANCE * sqrt(rest / (count - 2) / spread)
    return max(0.0, slope - error) if slope > 0 else min(0.0, slope + error)


def _cost(spec: SizingSpec, needs: Sequence[float], pods: int, market: Market) -> float:
    """Cost of the needs with this number of pods, in hourly cost x seconds."""
    left = market.survivors * pods / (pods - 1) if pods > 1 else 0.0
    part = max(1.0, left) / pods
    if pods == market.running.replicas:
        part /= 1 + plan.CLOSE
    low, high = max(spec.workers.min, market.min_workers), spec.workers.max
    workers = sum([min(high, max(low, ceil(need * part - 1e-9))) for need in needs])
    pod, worker = plan.pod_hourly_cost(spec), plan.worker_hourly_cost(spec)
    return EVERY * pods * (len(needs) * pod + workers * worker)


def _candidates(spec: SizingSpec, needs: Sequence[float], market: Market) -> set[int]:
    """Numbers of pods with which some need fills whole workers. Those in between cost more."""
    ordered = sorted(needs)
    found = {market.fewest}
    for need in {ordered[0], ordered[len(ordered) // 2], ordered[-1], needs[-1]}:
        for each in range(spec.workers.min, spec.workers.max + 1):
            left = ceil(need * market.survivors / each - 1e-9) + 1
            found.add(max(market.fewest, left, ceil(need / each - 1e-9)))
    found.discard(market.running.replicas)
    return {min(pods, spec.replicas.max) for pods in found if pods >= market.fewest}
