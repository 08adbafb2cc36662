"""How long to wait before another attempt. Pure: chance and time are arguments."""

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isnan

_FIRST_SECONDS = 0.1
_LONGEST_SECONDS = 2.0
_DAY_SECONDS = 86400.0


def pause(attempt: int, chance: Callable[[], float]) -> float:
    """Full jitter: anywhere up to a bound that doubles, so that callers do not come in step."""
    return float(chance() * min(_FIRST_SECONDS * 2**attempt, _LONGEST_SECONDS))


def retry_after(value: str | None, today: datetime) -> float | None:
    """Seconds that a Retry-After header asks for, as a number or a date; None when it says none."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            when = parsedate_to_datetime(value)
        except ValueError:
            return None
        if when.tzinfo is None:
            when = when.replace(tzinfo=UTC)
        seconds = (when - today).total_seconds()
    return None if isnan(seconds) else min(max(seconds, 0.0), _DAY_SECONDS)
