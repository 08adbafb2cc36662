"""Concurrency: expected requests in flight / (0.8 x the limit of a worker), if there is a limit.

The limit is the lower of workers.maxConcurrency and the pods' own. Without a limit there is no
requirement: a worker that only waits can hold thousands of requests.

    300 in flight, a limit of 50: 300 / (0.8 x 50) = 7.5 workers
"""

from collections.abc import Sequence

from aiapi_operator.present.numbers import number
from aiapi_operator.sizing.counters import MOST
from aiapi_operator.sizing.decision import Binding
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.learners.base_latency import BaseLatency
from aiapi_operator.sizing.learners.demand import Demand, expected
from aiapi_operator.sizing.plan import PLANNED
from aiapi_operator.sizing.requirement import Requirement
from aiapi_operator.sizing.state import Tick

MOST_SHED = 1.5
"""Factor by which shed requests may raise the requests in flight. Chosen: limits a single step."""


def limit(facts: Facts) -> int:
    """Concurrent requests per worker; 0 if nothing limits them."""
    own = facts.ticks[-1].worker_limit if facts.ticks else 0
    return min((each for each in (facts.spec.max_concurrency, own) if each > 0), default=0)


def need(facts: Facts, lead: float) -> Requirement | None:
    """Workers for the expected requests in flight."""
    most = limit(facts)
    if most <= 0:
        return None
    in_flight = unshed(facts.recent, _in_flight(facts)) * growth(facts, lead)
    per_worker = f"({most} per worker x {PLANNED:g})"
    return Requirement(
        binding=Binding.CONCURRENCY,
        reason=f"{number(in_flight)} requests in flight expected / {per_worker}",
        workers=min(MOST, in_flight / (most * PLANNED)),
        survivors=min(MOST, in_flight / most),
    )


def _in_flight(facts: Facts) -> float:
    """Requests in flight; while workers wait for a CPU, no more than arrive in the base latency.

    More workers would not end that wait, and each request that it delays is longer in flight.
    """
    in_flight, base = facts.mean("in_flight"), facts.get(BaseLatency)
    if base is None or not any(tick.contended for tick in facts.recent):
        return in_flight
    return min(in_flight, facts.mean("arrivals") * base.current)


def growth(facts: Facts, lead: float) -> float:
    """Arrivals in ``lead`` seconds over the current ones, at least 1."""
    known = facts.get(Demand)
    if known is None or known.level <= 0:
        return 1.0
    return max(1.0, expected(facts, lead) / known.level)


def unshed(recent: Sequence[Tick], in_flight: float) -> float:
    """Requests in flight if none had been shed.

    A limit of 50 per worker, 100 per second arrive, 20 of them are shed: 50 x 100 / 80 = 62. At
    most half more at a time: shed requests may be retried and counted again.
    """
    came = sum((tick.arrivals + tick.retried) * tick.seconds for tick in recent)
    counted = sum(tick.arrivals * tick.seconds for tick in recent)
    taken = came - sum(tick.shed * tick.seconds for tick in recent)
    return in_flight * min(MOST_SHED, max(1.0, counted / taken)) if taken > 0 else in_flight
