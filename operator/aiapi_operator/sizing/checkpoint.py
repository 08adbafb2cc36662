"""Reads and writes the fields of a checkpoint: ``status.learned``, one per learned property.

A restored value only keeps the fleet or lets it grow. Demand is measured again.
"""

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

CLOSE = 0.1
"""Share by which a number must change to be written again. A steady fleet writes no status."""


def settled(text: str, saved: Mapping[str, Any], name: str, parse: Callable[[str], float]) -> str:
    """``text``, or the last written value if it is within a tenth of it."""
    before = saved.get(name)
    if not isinstance(before, str):
        return text
    try:
        old, new = parse(before), parse(text)
    except ValueError:
        return text
    return before if abs(new - old) <= CLOSE * abs(old) else text


def number(value: Any) -> float:
    """A positive number from a status, or 0 if it is missing or invalid."""
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return found if isfinite(found) and found > 0 else 0.0
