"""Need: how many workers the load asks for, before guards and limits, and what sets it.

    loop:         expected arrivals x c / rho*, or the loop time used now / rho* if that is more
    concurrency:  expected in flight / (0.8 x limit of a worker), where a limit is set

412 rps x 9.1 ms / 0.61 = 6.15 workers; the plan rounds up. Concurrency without a limit asks
for nothing: a worker that only waits can hold thousands of requests.
"""

from dataclasses import dataclass

from aiapi_operator.sizing.capacity import Target
from aiapi_operator.sizing.decision import Binding
from aiapi_operator.sizing.demand import Demand
from aiapi_operator.sizing.inputs import SizingSpec
from aiapi_operator.sizing.state import ServiceDemand

FULL_SHARE = 0.8
"""Part of a worker's concurrency limit that is planned for: the rest is for uneven spread."""
SURVIVAL = 0.95
"""Utilisation allowed while a pod is lost."""
MOST = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What runs now: loop seconds used a second, requests in flight, and c where it is known."""

    loop: float
    in_flight: float
    service: ServiceDemand | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """Workers asked for, not rounded: ``total``, and ``survivors`` when one pod is lost."""

    total: float
    survivors: float
    binding: Binding
    expected: float
    """Arrivals a second at the end of ``lead``."""
    in_flight: float
    """Requests in flight then."""
    lead: float


def workers(
    spec: SizingSpec,
    *,
    demand: Demand,
    load: Load,
    target: Target,
    lead: float,
) -> Workers:
    """The largest of the needs, and which one it is."""
    expected = demand.expected(lead)
    forecast = 0.0 if load.service is None else expected * load.service.seconds
    busy = min(MOST, max(forecast, load.loop))
    # Headroom is for an error of the forecast: not for one while a pod is lost.
    usual = min(MOST, max(forecast / (1 + demand.headroom), load.loop))
    loop = busy / target.utilization
    growth = max(1.0, expected / demand.level) if demand.level > 0 else 1.0
    in_flight = load.in_flight * growth
    concurrency = _concurrency(spec, in_flight)
    if concurrency > loop:
        total, binding = concurrency, Binding.CONCURRENCY
        survivors = max(concurrency * FULL_SHARE, usual / SURVIVAL)
    else:
        total, binding = loop, Binding.LOOP
        survivors = max(usual / SURVIVAL, concurrency * FULL_SHARE)
    total = min(MOST, total)
    return Workers(
        total=total,
        survivors=min(total, survivors),
        binding=binding,
        expected=expected,
        in_flight=in_flight,
        lead=lead,
    )


def _concurrency(spec: SizingSpec, in_flight: float) -> float:
    if spec.max_concurrency <= 0:
        return 0.0
    return min(MOST, in_flight / (spec.max_concurrency * FULL_SHARE))
