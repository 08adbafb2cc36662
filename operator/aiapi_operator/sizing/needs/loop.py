"""Event loops: expected arrivals x c / rho*, or the loop time in use / rho* if that is more.

412 rps x 9.1 ms / 0.61 = 6.15 workers. When one pod is lost, the others may be 95 % busy until it
is replaced, so 412 x 9.1 ms / 0.95 = 3.9 workers must remain.
"""

from math import sqrt

from aiapi_operator.present.numbers import duration, number
from aiapi_operator.sizing.counters import MOST
from aiapi_operator.sizing.decision import Binding
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.learners import demand
from aiapi_operator.sizing.learners.service_demand import ServiceDemand
from aiapi_operator.sizing.learners.utilization import target
from aiapi_operator.sizing.plan import FULL
from aiapi_operator.sizing.requirement import Requirement
from aiapi_operator.sizing.windows import CHANCE, span


def need(facts: Facts, lead: float) -> Requirement:
    """Workers for the expected loop time."""
    rho = target(facts).utilization
    service = facts.get(ServiceDemand)
    arrivals = demand.expected(facts, lead)
    forecast = 0.0 if service is None else arrivals * service.seconds
    used = certain_loop(facts, 0.0 if service is None else service.seconds)
    busy = min(MOST, max(forecast, used))
    usual = min(MOST, max(forecast / (1 + demand.TUNING.headroom), used))
    if service is None or forecast < used:
        reason = f"event loops use {number(busy, 2)} s per second / {rho:.2f}"
    else:
        expected = f"{number(arrivals)} rps expected in {duration(lead)}"
        reason = f"{expected} x {duration(service.seconds)} / {rho:.2f}"
    return Requirement(
        binding=Binding.LOOP,
        reason=reason,
        workers=min(MOST, busy / rho),
        survivors=min(MOST, busy / rho, usual / FULL),
        demand=arrivals,
    )


def certain_loop(facts: Facts, service: float) -> float:
    """Loop seconds per second in use, less what chance may have added.

    n requests whose costs are exponential around c use n c +- c sqrt(2 n). 320 per second for 6 s
    at 20 ms: 6.4 s per second, of which 6.4 - 2 x 0.02 x sqrt(2 x 320 / 6) = 6.0 are certain.
    """
    loop = facts.mean("loop")
    return max(0.0, loop - CHANCE * sqrt(2 * service * loop / span(facts.recent)))
