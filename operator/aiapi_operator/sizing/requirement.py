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
