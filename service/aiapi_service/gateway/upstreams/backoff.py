"""Backoff between attempts. Pure: randomness and time are arguments."""

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isnan

_BASE_SECONDS = 0.1
_MAX_SECONDS = 2.0
_MAX_RETRY_AFTER_SECONDS = 86400.0


def pause(attempt: int, rand: Callable[[], float]) -> float:
    """Exponential backoff with full jitter, so that callers do not retry in step."""
    return float(rand() * min(_BASE_SECONDS * 2**attempt, _MAX_SECONDS))


def retry_after(value: str | None, today: datetime) -> float | None:
    """Seconds from a Retry-After header, a number or a date; None when missing or not valid."""
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
    return None if isnan(seconds) else min(max(seconds, 0.0), _MAX_RETRY_AFTER_SECONDS)
