"""How long ago, in the short form that kubectl's users know."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_YEAR = 365 * _DAY


def try_parse_time(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


_STEPS: tuple[tuple[int, Callable[[int], str]], ...] = (
    (_MINUTE * 2, lambda s: f"{max(s, 0)}s"),
    (_MINUTE * 10, lambda s: _pair(s // _MINUTE, "m", s % _MINUTE, "s")),
    (_HOUR * 3, lambda s: f"{s // _MINUTE}m"),
    (_HOUR * 8, lambda s: _pair(s // _HOUR, "h", s // _MINUTE % 60, "m")),
    (_HOUR * 48, lambda s: f"{s // _HOUR}h"),
    (_DAY * 8, lambda s: _pair(s // _DAY, "d", s // _HOUR % 24, "h")),
    (_DAY * 730, lambda s: f"{s // _DAY}d"),
    (_DAY * 2920, lambda s: _pair(s // _YEAR, "y", s // _DAY % 365, "d")),
)


def human_duration(seconds: int) -> str:
    """Two units where they say something, one where they do not."""
    for limit, text in _STEPS:
        if seconds < limit:
            return text(seconds)
    return f"{seconds // _YEAR}y"


def _pair(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}{small}{small_unit}" if small else f"{large}{large_unit}"


def age(value: Any) -> str:
    moment = try_parse_time(value)
    if moment is None:
        return "<unknown>"
    return human_duration(int((datetime.now(UTC) - moment).total_seconds()))
