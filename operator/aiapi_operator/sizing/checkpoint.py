"""What one operator leaves to the next: ``status.learned``, one field per thing learned.

All of it is read so that the fleet keeps its size or grows. Demand is measured anew.
"""

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

CLOSE = 0.1
"""Share by which a number must move to be written again: a steady fleet writes no status."""


def settled(text: str, saved: Mapping[str, Any], name: str, parse: Callable[[str], float]) -> str:
    """``text``, or what was written last where that is within a tenth of it."""
    before = saved.get(name)
    if not isinstance(before, str):
        return text
    try:
        old, new = parse(before), parse(text)
    except ValueError:
        return text
    return before if abs(new - old) <= CLOSE * abs(old) else text


def number(value: Any) -> float:
    """A number from a status, or 0 where there is none that makes sense."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        return 0.0
    return found if isfinite(found) and found > 0 else 0.0
