"""Decides whether another number of pods would recently have been cheaper by more than a move
costs.

Workers follow the load within seconds; the number of pods sets the size of their steps. 24 workers
are 8 pods x 3; one more worker means 8 pods x 4, a third of the fleet idle. 9 pods x 3 would carry
it for less, if the load lasts. How long it lasts is unknown, so the rule is that of the ski rental
problem: keep paying the higher rent until it has cost as much as the purchase, then buy. For one
purchase that costs at most twice the optimum (Karlin, Manasse, Rudolph, Sleator, 1988), and it
needs no forecast.

    rent:      excess cost of the fleet over another number of pods, for the recent needs
    purchase:  SETTLES seconds of the pods added or removed, and the start of those added:
               until connections are spread, all pods have the workers for the old spread

The accounting restarts when the number of pods has changed. A move in the opposite direction within
ten minutes doubles the price of the next move, up to four times: a need that oscillates around a
whole number of workers is no reason to move back and forth. Two moves in the same direction halve
it again.

5 pods x 2 for a need of 7.2, which 8 pods x 1 would carry: 5.5 against 4.8 cores. Three more pods
with 2 workers are 3.3 cores, for 45 s 148 core-seconds: after 212 s the pods are ordered.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

from aiapi_operator.sizing import plan
from aiapi_operator.sizing.inputs import SizingSpec
from aiapi_operator.sizing.state import MoveHistory, Size

SAMPLE_INTERVAL = 10.0
"""Seconds between two samples of the need."""
MAX_SAMPLES = 30
"""Five minutes of samples. Older ones say little about the future."""
SETTLES = 35.0
"""Seconds until most connections are on new pods, in addition to the pod start."""

REVERSAL = 600.0
"""Seconds within which a move in the opposite direction counts as a reversal."""
MAX_PATIENCE = 4.0

Samples = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveTerms:
    """The conditions of a move, in addition to the needs."""

    running: Size
    ready: int
    """Pods that take traffic. No pods are added to save cost before all are ready."""
    lead: float
    """Seconds until a newly ordered pod takes traffic."""
    survivors: float
    """The share of a need that must remain when a pod is lost."""
    fewest: int
    """Minimum number of pods."""
    patience: float = 1.0
    """Factor on the price of a move."""


def sample_due(samples: Samples, *, now: float) -> bool:
    """Whether it is time for another sample."""
    return not samples or now - samples[-1][0] >= SAMPLE_INTERVAL - 1e-6


def add_sample(samples: Samples, need: float, *, now: float) -> Samples:
    """Adds the workers that the fleet needed."""
    return (*samples, (now, need))[-MAX_SAMPLES:]


def next_history(last: MoveHistory, replicas: int, *, now: float) -> MoveHistory:
    """The history for the current number of pods; it restarts when the number changes."""
    if replicas == last.replicas:
        return last
    if last.replicas == 0:
        return MoveHistory(replicas=replicas)
    up = replicas > last.replicas
    back = last.moved is not None and now - last.moved < REVERSAL and up != last.up
    patience = min(MAX_PATIENCE, 2 * last.patience) if back else max(1.0, last.patience / 2)
    return MoveHistory(replicas=replicas, patience=patience, moved=now, up=up)


def best_replicas(spec: SizingSpec, samples: Samples, terms: MoveTerms) -> int:
    """The desired number of pods: the current one until another has saved more than the move
    costs."""
    running = terms.running
    here = _costs(spec, samples, running, terms.survivors)
    pod = plan.pod_hourly_cost(spec) + running.workers * plan.worker_hourly_cost(spec)
    # Removed pods have no start time, and a shorter replicas_down_after lowers the price.
    up, down = terms.lead + SETTLES, min(SETTLES, spec.replicas_down_after)
    best, gain = running.replicas, 0.0
    for pods in sorted({terms.fewest, *_candidates(spec, samples, terms.survivors)}):
        if pods < terms.fewest or pods == running.replicas:
            continue
        if pods > running.replicas > terms.ready:
            continue
        there = _costs(
            spec, samples, Size(workers=spec.workers.max, replicas=pods), terms.survivors
        )
        more = pods - running.replicas
        price = up * more if more > 0 else -down * more
        left = _rent(here, there) - price * pod * terms.patience
        if left > gain:
            best, gain = pods, left
    return best


def _costs(spec: SizingSpec, samples: Samples, size: Size, survivors: float) -> list[float]:
    """Cost of the recent needs with ``size.replicas`` pods.

    Running workers carry slightly more than planned, and are not removed before the need is below
    the plan (see guards.py). Between the two, the running workers count.
    """
    worker, pod, pods = plan.worker_hourly_cost(spec), plan.pod_hourly_cost(spec), size.replicas
    low, high = spec.workers.min, spec.workers.max
    rest = survivors * pods / (pods - 1) if pods > 1 else 0.0
    part = max(1.0, rest) / pods
    costs = []
    for _, need in samples:
        bearable = ceil(need * part / (1 + plan.TOLERANCE) - 1e-9)
        each = min(max(size.workers, bearable), ceil(need * part - 1e-9))
        costs.append(pods * (pod + worker * min(high, max(low, each))))
    return costs


def _rent(here: list[float], there: list[float]) -> float:
    """The highest excess cost over any time up to now; zero if the current number is cheaper
    now."""
    if here[-1] <= there[-1]:
        return 0.0
    total = most = 0.0
    for mine, other in zip(reversed(here), reversed(there), strict=True):
        total += (mine - other) * SAMPLE_INTERVAL
        most = max(most, total)
    return most


def _candidates(spec: SizingSpec, samples: Samples, survivors: float) -> Iterable[int]:
    """Numbers of pods that some need fills with whole workers: those in between only cost more."""
    needs = sorted(need for _, need in samples)
    found = set()
    for need in {needs[0], needs[-1], needs[len(needs) // 2], samples[-1][1]}:
        for each in range(spec.workers.min, spec.workers.max + 1):
            carry = max(ceil(need / each - 1e-9), ceil(need * survivors / each - 1e-9) + 1)
            found.add(min(spec.replicas.max, max(1, spec.replicas.min, carry)))
    return found
