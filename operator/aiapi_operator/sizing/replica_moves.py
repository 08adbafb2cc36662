"""Pods: whether another number of them would have been cheaper lately, by more than a move costs.

Workers follow the load within seconds; pods set in which steps they can. 24 workers are 8 pods
x 3, and one more worker than that is 8 pods x 4: a third of the fleet idle. 9 pods x 3 would
carry it for less, if it stays like that. Nobody knows how long it stays, so the rule is the one
of who may rent skis or buy them: pay the dearer rent until it has cost as much as the purchase,
then buy. For one purchase that costs at most twice what a clairvoyant pays (Karlin, Manasse,
Rudolph, Sleator, 1988), and it needs no forecast.

    rent:      what the fleet cost above another number of pods, needs being as they were
    purchase:  SETTLES seconds of the pods that come or go, and the start of those that come:
               until connections are spread, all have the workers for the old spread

The meter starts again when pods have moved: what another number would have saved before says
nothing of the fleet as it is now. And who moves back within ten minutes pays twice as much for the
next move, up to four times: a need that goes up and down around a whole number of workers is no
reason to move to and fro. Two moves the same way halve it again.

5 pods x 2 for a need of 7.2, which 8 pods x 1 would carry: 5.5 against 4.8 cores. Three more pods
with 2 workers are 3.3 cores, for 45 s 148 core-seconds: after 212 s of it the pods are ordered.
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
"""Five minutes of them. What was longer ago says little about what is to come."""
SETTLES = 35.0
"""Seconds until most connections have found new pods, beside the time that these take to start."""

REVERSAL = 600.0
"""Seconds within which a move the other way counts as moving to and fro."""
MAX_PATIENCE = 4.0

Samples = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveTerms:
    """What a move hangs on beside the needs."""

    running: Size
    ready: int
    """Pods that take traffic. No more are ordered for their cost before all do."""
    lead: float
    """Seconds until a pod that is ordered takes traffic."""
    survivors: float
    """The part of a need that must be there when a pod is lost."""
    fewest: int
    """Pods that must stay."""
    patience: float = 1.0
    """Factor on the price of a move."""


def sample_due(samples: Samples, *, now: float) -> bool:
    """Whether it is time for another sample."""
    return not samples or now - samples[-1][0] >= SAMPLE_INTERVAL - 1e-6


def add_sample(samples: Samples, need: float, *, now: float) -> Samples:
    """Add the workers that the fleet had to have."""
    return (*samples, (now, need))[-MAX_SAMPLES:]


def next_history(last: MoveHistory, replicas: int, *, now: float) -> MoveHistory:
    """The meter for the pods that run now: it starts again when their number has changed."""
    if replicas == last.replicas:
        return last
    if last.replicas == 0:
        return MoveHistory(replicas=replicas)
    up = replicas > last.replicas
    back = last.moved is not None and now - last.moved < REVERSAL and up != last.up
    patience = min(MAX_PATIENCE, 2 * last.patience) if back else max(1.0, last.patience / 2)
    return MoveHistory(replicas=replicas, patience=patience, moved=now, up=up)


def best_replicas(spec: SizingSpec, samples: Samples, terms: MoveTerms) -> int:
    """The number of pods to have: as many as run, until another number has paid."""
    running = terms.running
    here = _costs(spec, samples, running, terms.survivors)
    pod = plan.pod_hourly_cost(spec) + running.workers * plan.worker_hourly_cost(spec)
    # Pods that go start nowhere; and who wants them gone sooner than that gets it.
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
    """What the needs cost with so many pods.

    Workers that run bear a little more than they are planned for, and are not taken back before
    the need is under the plan (see guards.py): so between the two it is they that count.
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
    """The most that was paid too much in any time up to now; nothing if it is cheaper here now."""
    if here[-1] <= there[-1]:
        return 0.0
    total = most = 0.0
    for mine, other in zip(reversed(here), reversed(there), strict=True):
        total += (mine - other) * SAMPLE_INTERVAL
        most = max(most, total)
    return most


def _candidates(spec: SizingSpec, samples: Samples, survivors: float) -> Iterable[int]:
    """Numbers of pods which some need fills with whole workers: those between only cost more."""
    needs = sorted(need for _, need in samples)
    found = set()
    for need in {needs[0], needs[-1], needs[len(needs) // 2], samples[-1][1]}:
        for each in range(spec.workers.min, spec.workers.max + 1):
            carry = max(ceil(need / each - 1e-9), ceil(need * survivors / each - 1e-9) + 1)
            found.add(min(spec.replicas.max, max(1, spec.replicas.min, carry)))
    return found
