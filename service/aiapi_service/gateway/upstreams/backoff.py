"""Backoff between attempts. Pure: randomness and time are arguments."""

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import ceil, isnan

_BASE_SECONDS = 0.1
_MAX_SECONDS = 2.0
_MAX_RETRY_AFTER_SECONDS = 86400.0


def pause(attempt: int, rand: Callable[[], float]) -> float:
    """Exponential backoff with full jitter, so that callers do not retry in step."""
    return float(rand() * min(_BASE_SECONDS * 2**attempt, _MAX_SECONDS))


def retry_after(value: str, milliseconds: str, today: datetime) -> float | None:
    """Seconds from `retry-after-ms`, which is more precise, or Retry-After; None when neither is
    valid."""
    found = _number(milliseconds)
    seconds = found / 1000 if found is not None else _seconds(value, today)
    return None if seconds is None else min(max(seconds, 0.0), _MAX_RETRY_AFTER_SECONDS)


def _seconds(value: str, today: datetime) -> float | None:
    """A number or a date."""
    found = _number(value)
    if found is not None or not value:
        return found
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return (when - today).total_seconds()


def _number(value: str) -> float | None:
    try:
        found = float(value)
    except ValueError:
        return None
    return None if isnan(found) else found


def retry_headers(seconds: float) -> dict[str, str]:
    """The headers that tell a caller when to retry. OpenAI clients prefer milliseconds."""
    milliseconds = max(1, ceil(seconds * 1000))
    return {"Retry-After": str(ceil(milliseconds / 1000)), "retry-after-ms": str(milliseconds)}
