"""Rate limit: at most scaling.scaleUp.maxReplicasPerMinute new pods per minute."""

from dataclasses import dataclass, replace

from aiapi_operator.present.numbers import count
from aiapi_operator.sizing.decision import Verdict
from aiapi_operator.sizing.entry import Learner
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.guards.guarded import Guarded
from aiapi_operator.sizing.requirement import Requirements
from aiapi_operator.sizing.state import Size

MINUTE = 60.0
"""Seconds of a minute. By definition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodOrders:
    """(time, pods) of the orders in the last minute."""

    orders: tuple[tuple[float, int], ...] = ()


def learn(known: PodOrders | None, facts: Facts) -> PodOrders:
    """Add the order of the previous tick."""
    orders = () if known is None else known.orders
    orders = tuple(order for order in orders if order[0] > facts.now - MINUTE)
    last = facts.last
    if last is not None and last.size.replicas > last.replicas_before:
        orders = (*orders, (last.time, last.size.replicas - last.replicas_before))
    return PodOrders(orders=orders)


def guard(size: Size, facts: Facts, _: Requirements) -> Guarded | None:
    """No more new pods than the current minute still allows."""
    known, most = facts.get(PodOrders), facts.spec.max_replicas_per_minute
    spent = 0 if known is None else sum(pods for _, pods in known.orders)
    start = facts.start.replicas
    ordered = 0 if facts.last is None else facts.last.size.replicas
    allowed = max(start, ordered) + max(0, most - spent)
    if size.replicas <= allowed:
        return None
    return Guarded(
        size=replace(size, replicas=allowed),
        verdict=Verdict.LIMITED,
        why=f"limited to {count(most, 'new pod')} per minute",
    )


LEARNER = Learner(kind=PodOrders, learn=learn)
