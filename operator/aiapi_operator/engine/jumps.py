"""Whether the load in the status changed by more than chance. Pure.

Independent arrivals make a count of n vary by sqrt(n). 100 requests per second over 6 s are 600 +-
24, so two such means are within 4 x sqrt(2) x 24 / 6 = 23 per second of each other in all but one
case of 15,000. Requests in flight are a count themselves.
"""

from collections.abc import Mapping
from math import sqrt
from typing import Any

from aiapi_operator.sizing.checkpoint import number
from aiapi_operator.sizing.state import FAST_WINDOW

SIGMAS = 4.0


def has_jumped(now: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Whether requests came, ended or failed as they did not before, by ``status.load``."""
    return (
        _is_none(now.get("failing")) != _is_none(before.get("failing"))
        or _differs(now, before, "requestsPerSecond", seconds=FAST_WINDOW)
        or _differs(now, before, "inFlight", seconds=1.0)
    )


def _is_none(failing: str | None) -> bool:
    return failing in (None, "0%")


def _differs(
    now: Mapping[str, Any], before: Mapping[str, Any], name: str, *, seconds: float
) -> bool:
    new, old = number(now.get(name)) * seconds, number(before.get(name)) * seconds
    return abs(new - old) > SIGMAS * sqrt(new + old)
