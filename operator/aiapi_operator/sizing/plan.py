"""Plans workers per pod and pods together, at the lowest cost that carries a need.

A fleet carries a need if it has the workers for it, and if it still has enough at rho = 0.95 after
the loss of any one pod (with two pods or more).

Example: need 7 workers, 5.2 with one pod lost, at most 8 per pod. 2 pods x 6 carry it (12, after a
loss 6), also 3 x 3 (9, after a loss 6), 4 x 2 (8, after a loss 6), and 7 x 1. With 0.1 cores per
pod and 0.5 per worker they cost 6.2, 4.8, 4.4 and 4.2 cores. The plan is 4 x 2: it is within 5 % of
the cheapest, and of two such fleets the one with fewer pods has more room to grow in place.
"""

from dataclasses import dataclass
from math import ceil

from aiapi_operator.sizing.inputs import Pricing, SizingSpec
from aiapi_operator.sizing.state import Size

POD_CPU = 0.1
"""Cores of a pod in addition to its workers. Assumed, not measured: the supervisor, its admin port
and the node's overhead (sandbox container, probes, proxy rules)."""
POD_MEMORY = 128 * 2**20
"""Bytes of a pod in addition to its workers. Assumed: a Python supervisor of about 60 MiB, and the
same again for the node's overhead."""
GIB = 2**30
"""Bytes. The unit of memory prices."""
CLOSE = 0.05
"""Share by which needs and costs may differ and count as equal. A steady load varies by less."""
FULL = 0.95
"""Utilization allowed while a pod is lost. Chosen: the objective may be missed, but no backlog
grows."""
PLANNED = 0.8
"""Share of a limit that is planned: of requests in flight, threads and memory. The rest is for
uneven load."""


@dataclass(frozen=True, slots=True)
class RequiredWorkers:
    """Workers needed, not rounded: in total, and when one pod is lost."""

    total: float
    survivors: float

    def times(self, factor: float) -> "RequiredWorkers":
        """The need multiplied by ``factor``."""
        return RequiredWorkers(self.total * factor, self.survivors * factor)


def worker_hourly_cost(spec: SizingSpec) -> float:
    """Cost of one worker per hour."""
    return _hour(spec.price, spec.worker_cpu, spec.worker_memory)


def pod_hourly_cost(spec: SizingSpec) -> float:
    """Cost of one pod per hour, without its workers."""
    return _hour(spec.price, POD_CPU, POD_MEMORY)


def hourly_cost(spec: SizingSpec, size: Size) -> float:
    """Cost of a fleet per hour."""
    return size.replicas * pod_hourly_cost(spec) + size.total * worker_hourly_cost(spec)


def _hour(price: Pricing, cores: float, memory: float) -> float:
    cost = cores * price.cpu_hour + memory / GIB * price.memory_gib_hour
    # If all prices are zero, the cheapest fleet is the one with the fewest cores.
    return cost if price.cpu_hour + price.memory_gib_hour > 0 else cores


def workers_for(need: RequiredWorkers, replicas: int) -> int:
    """Workers per pod with which ``replicas`` pods carry the need (at least 1)."""
    if replicas <= 0:
        return 1
    each = need.total / replicas
    if replicas >= 2:
        each = max(each, need.survivors / (replicas - 1))
    return max(1, ceil(each - 1e-9))


def fewest_replicas(spec: SizingSpec, need: RequiredWorkers, *, at_least: int) -> int:
    """The fewest pods that carry the need with the maximum workers per pod."""
    return min(spec.replicas.max, _fewest(need, spec.workers.max, at_least=max(1, at_least)))


def _fewest(need: RequiredWorkers, workers: int, *, at_least: int) -> int:
    """The fewest pods that carry the need with ``workers`` each, ignoring the bounds."""
    replicas = max(at_least, int(need.total / (workers + 1e-6)))
    while workers_for(need, replicas) > workers:
        replicas += 1
    return replicas


def cheapest(spec: SizingSpec, need: RequiredWorkers) -> Size:
    """The cheapest fleet within the bounds that carries the need, or the largest fleet."""
    worker, pod = worker_hourly_cost(spec), pod_hourly_cost(spec)
    able: list[tuple[float, int, int]] = []
    replicas = max(1, spec.replicas.min)
    # More pods than the fewest for this many workers only cost more.
    for each in range(spec.workers.max, spec.workers.min - 1, -1):
        replicas = _fewest(need, each, at_least=replicas)
        if replicas > spec.replicas.max:
            break
        able.append((replicas * (pod + each * worker), each, replicas))
    if not able:
        return Size(workers=spec.workers.max, replicas=spec.replicas.max)
    close = min(able)[0] * (1 + CLOSE)
    _, workers, replicas = next(fleet for fleet in able if fleet[0] <= close)
    return Size(workers=workers, replicas=replicas)


def fit(spec: SizingSpec, need: RequiredWorkers, replicas: int) -> Size:
    """``replicas`` pods with the workers that the need takes, within the bounds."""
    each = min(spec.workers.max, max(spec.workers.min, workers_for(need, replicas)))
    return Size(workers=each, replicas=replicas)
