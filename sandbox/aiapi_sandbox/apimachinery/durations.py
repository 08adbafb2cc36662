"""Durations: Go's text form, and the short form of kubectl's AGE column."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from aiapi_sandbox.apimachinery.timestamps import try_parse_time

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_YEAR = 365 * _DAY
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_GO_DURATION = re.compile(r"^-?(?:\d+(?:\.\d*)?(?:ns|us|µs|ms|s|m|h))+$")
_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?)(ns|us|µs|ms|s|m|h)")


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
    """Two units for small values, one for large values, as kubectl prints them."""
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


def parse_duration(text: str) -> timedelta | None:
    """Parse a Go duration such as `1m30s`; None when it is not one."""
    if text == "0":
        return timedelta(0)
    if not _GO_DURATION.match(text):
        return None
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _DURATION_PART.findall(text))
    return timedelta(seconds=-seconds if text.startswith("-") else seconds)
