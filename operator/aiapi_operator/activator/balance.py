"""Which pod gets the next request. Pure."""

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from aiapi_operator.activator.fleet import Readiness

InFlightLimit = Callable[[Readiness], int | None]
"""Requests that a pod may have at a time; None if they are not limited."""


class Candidate(Protocol):
    """A pod."""

    @property
    def readiness(self) -> Readiness:
        """What it answered when it was last asked."""

    @property
    def in_flight(self) -> int:
        """Requests that it has from this activator."""

    @property
    def last_chosen(self) -> int:
        """Grows with each choice."""


C = TypeVar("C", bound=Candidate)


def choose(candidates: Iterable[C], limit: InFlightLimit) -> C | None:
    """The pod with the fewest requests in flight, in turn among equals; None if all are full."""
    free = (each for each in candidates if _has_room(each, limit(each.readiness)))
    return min(free, key=lambda each: (each.in_flight, each.last_chosen), default=None)


def _has_room(candidate: Candidate, limit: int | None) -> bool:
    return limit is None or candidate.in_flight < limit
