"""Requests that a worker takes at once: expected in flight / (0.8 x the limit), where there is one.

The limit is the lower of workers.maxConcurrency and the pods' own. Without a limit nothing is
asked: a worker that only waits can hold thousands of requests.

    300 in flight, a limit of 50: 300 / (0.8 x 50) = 7.5 workers
"""

from collections.abc import Sequence

from aiapi_operator.present.numbers import number
from aiapi_operator.sizing.decision import Binding
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.learners.demand import Demand, expected
from aiapi_operator.sizing.requirement import MOST, Requirement
from aiapi_operator.sizing.state import Tick

FULL_SHARE = 0.8
"""Share of a worker's limit that is planned for. The rest is for uneven spread."""
MOST_SHED = 1.5


def limit(facts: Facts) -> int:
    """Requests that a worker takes at once; 0 where nothing limits them."""
    own = facts.ticks[-1].worker_limit if facts.ticks else 0
    return min((each for each in (facts.spec.max_concurrency, own) if each > 0), default=0)


def need(facts: Facts, lead: float) -> Requirement | None:
    """Workers for the requests that will be in flight."""
    most = limit(facts)
    if most <= 0:
        return None
    in_flight = unshed(facts.recent, facts.mean("in_flight")) * growth(facts, lead)
    per_worker = f"({most} per worker x {FULL_SHARE:g})"
    return Requirement(
        binding=Binding.CONCURRENCY,
        reason=f"{number(in_flight)} requests in flight expected / {per_worker}",
        workers=min(MOST, in_flight / (most * FULL_SHARE)),
        survivors=min(MOST, in_flight / most),
    )


def growth(facts: Facts, lead: float) -> float:
    """Arrivals in ``lead`` seconds over those of now, at least 1."""
    known = facts.get(Demand)
    if known is None or known.level <= 0:
        return 1.0
    return max(1.0, expected(facts, lead) / known.level)


def unshed(recent: Sequence[Tick], in_flight: float) -> float:
    """Requests in flight had none been shed.

    A limit of 50 per worker, 100 per second arrive, 20 of them are shed: 50 x 100 / 80 = 62. At
    most half more at a time: what was shed a moment ago may be what comes now.
    """
    came = sum((tick.arrivals + tick.retried) * tick.seconds for tick in recent)
    counted = sum(tick.arrivals * tick.seconds for tick in recent)
    taken = came - sum(tick.shed * tick.seconds for tick in recent)
    return in_flight * min(MOST_SHED, max(1.0, counted / taken)) if taken > 0 else in_flight
