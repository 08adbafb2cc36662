"""What a need asks for, and how several of them add up."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiapi_operator.sizing.decision import Binding
from aiapi_operator.sizing.plan import RequiredWorkers

MOST = 1e6
"""Workers. More is an error of a measurement, and no fleet has as many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """Workers in the whole fleet (not rounded) or a minimal shape, and why."""

    binding: Binding
    reason: str
    workers: float = 0.0
    survivors: float = 0.0
    """Workers that must be left when one pod is lost."""
    min_workers: int = 1
    """In each pod."""
    min_replicas: int = 1
    demand: float | None = None
    """Arrivals per second that were expected, where that is what it is made of."""

    @property
    def asks(self) -> float:
        """Workers in all, by either."""
        return max(self.workers, float(self.min_workers * self.min_replicas))


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """All requirements of one lead time together."""

    carry: RequiredWorkers
    min_workers: int
    min_replicas: int
    binding: Requirement
    """The one that asks for the most workers."""
    load: Requirement | None
    """The one that asks for the most workers for the load, floors aside."""
    demand: float | None
    """Arrivals per second that were expected."""

    def scaled_to(self, total: float) -> RequiredWorkers:
        """The load's requirement with another total; the share that survives stays."""
        now = self.carry
        return now.times(total / now.total) if now.total > 0 else RequiredWorkers(total, total)


def together(found: Sequence[Requirement]) -> Requirements:
    """The largest of each."""
    load = max((each for each in found if each.workers > 0), key=_workers, default=None)
    return Requirements(
        carry=RequiredWorkers(
            total=min(MOST, max(each.workers for each in found)),
            survivors=min(MOST, max(each.survivors for each in found)),
        ),
        min_workers=max(each.min_workers for each in found),
        min_replicas=max(each.min_replicas for each in found),
        binding=max(found, key=_asks),
        load=load,
        demand=next((each.demand for each in found if each.demand is not None), None),
    )


def _workers(each: Requirement) -> float:
    return each.workers


def _asks(each: Requirement) -> float:
    return each.asks
