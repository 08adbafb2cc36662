"""A requirement is what one need asks for; ``together`` combines those of all needs."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiapi_operator.sizing.counters import MOST
from aiapi_operator.sizing.decision import Binding
from aiapi_operator.sizing.plan import RequiredWorkers


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """Workers in the whole fleet (not rounded), or a minimum per pod and of pods, with the
    reason."""

    binding: Binding
    reason: str
    workers: float = 0.0
    survivors: float = 0.0
    """Workers that must remain when one pod is lost."""
    min_workers: int = 1
    """In each pod."""
    min_replicas: int = 1
    demand: float | None = None
    """Expected arrivals per second, if the requirement is computed from them."""

    @property
    def asks(self) -> float:
        """Workers in the whole fleet, from either the workers or the minimums."""
        return max(self.workers, float(self.min_workers * self.min_replicas))


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """All requirements for one lead time, combined."""

    carry: RequiredWorkers
    min_workers: int
    min_replicas: int
    binding: Requirement
    """The one that asks for the most workers."""
    load: Requirement | None
    """The one that asks for the most workers for the load, without floors."""
    demand: float | None
    """Expected arrivals per second."""

    def scaled_to(self, total: float) -> RequiredWorkers:
        """The required workers with another total, and the same share of survivors."""
        now = self.carry
        return now.times(total / now.total) if now.total > 0 else RequiredWorkers(total, total)


def together(found: Sequence[Requirement]) -> Requirements:
    """The maximum of each number, over all requirements."""
    load, demand, binding, asks = None, None, found[0], -1.0
    total = survivors = 0.0
    min_workers = min_replicas = 1
    for each in found:
        if each.workers > total:
            total, load = each.workers, each
        survivors = max(survivors, each.survivors)
        min_workers = max(min_workers, each.min_workers)
        min_replicas = max(min_replicas, each.min_replicas)
        if each.asks > asks:
            asks, binding = each.asks, each
        if demand is None:
            demand = each.demand
    return Requirements(
        carry=RequiredWorkers(total=min(MOST, total), survivors=min(MOST, survivors)),
        min_workers=min_workers,
        min_replicas=min_replicas,
        binding=binding,
        load=load,
        demand=demand,
    )
