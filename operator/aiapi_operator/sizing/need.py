"""Computes how many workers the load needs, before guards and limits, and what sets the number.

    loop:         expected arrivals x c / rho*, or the loop time used now / rho* if that is more
    concurrency:  expected in flight / (0.8 x limit of a worker), if there is a limit
    threads:      expected busy threads / (0.8 x threads of a worker), if requests need threads

412 rps x 9.1 ms / 0.61 = 6.15 workers; the plan rounds up. Without a limit, concurrency adds no
need: a worker that only waits can hold thousands of requests. See limits.py for threads.
"""

from dataclasses import dataclass

from aiapi_operator.sizing.capacity import UtilizationTarget
from aiapi_operator.sizing.decision import Binding
from aiapi_operator.sizing.demand import Demand
from aiapi_operator.sizing.limits import FULL_SHARE, ThreadPoolNeed
from aiapi_operator.sizing.state import ServiceDemand

MAX_UTILIZATION_AFTER_LOSS = 0.95
"""Allowed utilization while a pod is lost."""
MAX_WORKERS = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredLoad:
    """The current load: loop seconds used per second, requests in flight, and c if it is known."""

    loop: float
    in_flight: float
    service: ServiceDemand | None
    limit: int = 0
    """Concurrent requests per worker; 0 means no limit."""
    threads: ThreadPoolNeed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerNeed:
    """Workers needed, not rounded: ``total``, and ``survivors`` when one pod is lost."""

    total: float
    survivors: float
    binding: Binding
    expected: float
    """Arrivals per second at the end of ``lead``."""
    in_flight: float
    """Requests in flight at that time."""
    threads: float
    """Threads needed at that time, in the pool that needs the most workers."""
    lead: float


def workers(
    *, demand: Demand, load: MeasuredLoad, target: UtilizationTarget, lead: float
) -> WorkerNeed:
    """The largest of the needs, and which one it is."""
    expected = demand.expected(lead)
    forecast = 0.0 if load.service is None else expected * load.service.seconds
    busy = min(MAX_WORKERS, max(forecast, load.loop))
    # Headroom covers a forecast error, but not one at the same time as the loss of a pod.
    usual = min(MAX_WORKERS, max(forecast / (1 + demand.headroom), load.loop))
    growth = max(1.0, expected / demand.level) if demand.level > 0 else 1.0
    in_flight = load.in_flight * growth
    threads = 0.0 if load.threads is None else load.threads.needed * growth
    needs = (
        (busy / target.utilization, usual / MAX_UTILIZATION_AFTER_LOSS, Binding.LOOP),
        (*_limited(in_flight, load.limit, FULL_SHARE), Binding.CONCURRENCY),
        (*_threads(threads, load.threads), Binding.THREADS),
    )
    total, _, binding = max(needs, key=lambda need: need[0])
    survivors = max(need[1] for need in needs)
    return WorkerNeed(
        total=min(MAX_WORKERS, total),
        survivors=min(MAX_WORKERS, total, survivors),
        binding=binding,
        expected=expected,
        in_flight=in_flight,
        threads=threads,
        lead=lead,
    )


def _limited(held: float, limit: int, share: float) -> tuple[float, float]:
    """Workers for a number held against a limit, and the same after a pod is lost (full limit)."""
    if limit <= 0:
        return 0.0, 0.0
    return min(MAX_WORKERS, held / (limit * share)), min(MAX_WORKERS, held / limit)


def _threads(needed: float, pool: ThreadPoolNeed | None) -> tuple[float, float]:
    return (0.0, 0.0) if pool is None else _limited(needed, pool.limit, pool.planned_share)
