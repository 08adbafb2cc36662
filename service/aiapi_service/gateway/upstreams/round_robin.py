"""Smooth weighted round robin, as in nginx. Pure."""

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class WeightedRoundRobin(Generic[Item]):
    """Spreads turns evenly: with weights 3 and 1 the order is a a b a, not a a a b."""

    def __init__(self, items: Iterable[tuple[Item, float]]) -> None:
        self._weights = dict(items)
        self._credit = dict.fromkeys(self._weights, 0.0)

    def next(self, allowed: Callable[[Item], bool]) -> Item | None:
        """The next item among the allowed ones."""
        best: Item | None = None
        total = 0.0
        for item, weight in self._weights.items():
            if not allowed(item):
                continue
            total += weight
            self._credit[item] += weight
            if best is None or self._credit[item] > self._credit[best]:
                best = item
        if best is not None:
            self._credit[best] -= total
        return best
