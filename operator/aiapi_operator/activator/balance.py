"""Which pod gets the next request. Pure."""

from collections.abc import Iterable
from typing import Protocol, TypeVar


class Candidate(Protocol):
    """A pod that answered its last probe."""

    @property
    def in_flight(self) -> int:
        """Requests that it has from this activator."""

    @property
    def last_chosen(self) -> int:
        """Grows with each choice."""


C = TypeVar("C", bound=Candidate)


def choose(candidates: Iterable[C], limit: int | None) -> C | None:
    """The pod with the fewest requests in flight, in turn among equals; None if all are full."""
    free = (each for each in candidates if limit is None or each.in_flight < limit)
    return min(free, key=lambda each: (each.in_flight, each.last_chosen), default=None)
