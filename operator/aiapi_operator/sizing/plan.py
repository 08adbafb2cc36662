"""Plan: which workers a pod and how many pods carry a need at the least cost. One planner.

A fleet carries a need when all of it has the workers, and when it still has enough at
rho = 0.95 after any one pod is lost (with two pods or more).

Need 7 workers, 5.2 with one pod lost, at most 8 a pod: 2 pods x 6 carry it (12, after a loss
6), 3 x 3 too (9, after a loss 6), 4 x 2 too (8, after a loss 6), and 7 x 1. With 0.1 cores a
pod and 0.5 a worker they cost 6.2, 4.8, 4.4 and 4.2 cores. 4 x 2 is the plan: it is within 5 %
of the cheapest, and of two such fleets the one with fewer pods has more room to grow in place.
"""

from dataclasses import dataclass
from math import ceil

from aiapi_operator.sizing.inputs import Pricing, SizingSpec
from aiapi_operator.sizing.state import Size

POD_CPU = 0.1
"""Cores a pod takes beside its workers. Assumed, not measured: the supervisor, its admin port
and the node's share for a pod (sandbox container, probes, proxy rules)."""
POD_MEMORY = 128 * 2**20
"""Bytes a pod takes beside its workers: a Python supervisor of about 60 MiB and the same again
for the node's share. Assumed."""
GIB = 2**30
TOLERANCE = 0.05
"""Part by which a need may be over what runs before anything changes."""
CLOSE = 1.05
"""Fleets whose costs differ by less are taken as equal."""


@dataclass(frozen=True, slots=True)
class RequiredWorkers:
    """Workers needed, not rounded: in all, and when one pod is lost."""

    total: float
    survivors: float

    def times(self, factor: float) -> "RequiredWorkers":
        """The same need, larger or smaller."""
        return RequiredWorkers(self.total * factor, self.survivors * factor)


def worker_hourly_cost(spec: SizingSpec) -> float:
    """Price of one worker for an hour."""
    return _hour(spec.price, spec.worker_cpu, spec.worker_memory)


def pod_hourly_cost(spec: SizingSpec) -> float:
    """Price of one pod for an hour, its workers apart."""
    return _hour(spec.price, POD_CPU, POD_MEMORY)


def hourly_cost(spec: SizingSpec, size: Size) -> float:
    """Price of a fleet for an hour."""
    return size.replicas * pod_hourly_cost(spec) + size.total * worker_hourly_cost(spec)


def _hour(price: Pricing, cores: float, memory: float) -> float:
    cost = cores * price.cpu_hour + memory / GIB * price.memory_gib_hour
    # With all prices at zero the cheapest fleet is the one with the fewest cores.
    return cost if price.cpu_hour + price.memory_gib_hour > 0 else cores


def workers_for(need: RequiredWorkers, replicas: int) -> int:
    """Workers a pod with which ``replicas`` pods carry the need (at least 1)."""
    if replicas <= 0:
        return 1
    each = need.total / replicas
    if replicas >= 2:
        each = max(each, need.survivors / (replicas - 1))
    return max(1, ceil(each - 1e-9))


def fewest_replicas(spec: SizingSpec, need: RequiredWorkers, *, at_least: int) -> int:
    """The fewest pods that carry the need with as many workers as a pod may have."""
    return min(spec.replicas.max, _fewest(need, spec.workers.max, at_least=max(1, at_least)))


def _fewest(need: RequiredWorkers, workers: int, *, at_least: int) -> int:
    """The fewest pods that carry the need with ``workers`` each, whatever the bounds."""
    replicas = max(at_least, int(need.total / (workers + 1e-6)))
    while workers_for(need, replicas) > workers:
        replicas += 1
    return replicas


def cheapest(spec: SizingSpec, need: RequiredWorkers) -> Size:
    """The fleet within the bounds that carries the need at the least cost, or the largest."""
    worker, pod = worker_hourly_cost(spec), pod_hourly_cost(spec)
    able: list[tuple[float, Size]] = []
    replicas = max(1, spec.replicas.min)
    # More pods than the fewest for so many workers each only cost more.
    for each in range(spec.workers.max, spec.workers.min - 1, -1):
        replicas = _fewest(need, each, at_least=replicas)
        if replicas > spec.replicas.max:
            break
        able.append((replicas * (pod + each * worker), Size(workers=each, replicas=replicas)))
    if not able:
        return Size(workers=spec.workers.max, replicas=spec.replicas.max)
    lowest = min(cost for cost, _ in able)
    return next(size for cost, size in able if cost <= lowest * CLOSE)


def fit(spec: SizingSpec, need: RequiredWorkers, replicas: int) -> Size:
    """``replicas`` pods with the workers that the need takes, within the bounds."""
    each = min(spec.workers.max, max(spec.workers.min, workers_for(need, replicas)))
    return Size(workers=each, replicas=replicas)
