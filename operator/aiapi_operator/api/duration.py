"""Durations in Go notation: 800ms, 1.5s, 2m, 1h30m.

Signs and units below a millisecond are not accepted, so that the API server can check durations
with one regular expression.
"""

import re
from functools import lru_cache

PATTERN = r"^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h)){1,4}$"

_PART = re.compile(r"([0-9.]+)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@lru_cache(4096)
def is_duration(text: str) -> bool:
    """Whether ``text`` is a valid duration."""
    return re.fullmatch(PATTERN, text) is not None


@lru_cache(4096)
def parse_duration(text: str) -> float:
    """The duration in seconds; ``ValueError`` if it is invalid."""
    if not is_duration(text):
        raise ValueError(
            f"{text!r} is not a duration: use a value such as 800ms, 1.5s, 2m or 1h30m"
        )
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))


def format_duration(seconds: float) -> str:
    """A readable duration with three significant digits."""
    if seconds < 0:
        raise ValueError(f"a duration cannot be negative: {seconds}")
    if seconds < 0.9995:
        return _number(seconds * 1000) + "ms" if seconds >= 0.0000005 else "0s"
    if seconds < 59.95:
        return _number(seconds) + "s"
    return _clock(round(seconds))


def _number(value: float) -> str:
    digits = 0 if value >= 99.95 else 1 if value >= 9.995 else 2 if value >= 0.9995 else 3
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _clock(seconds: int) -> str:
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    parts = ((hour, "h"), (minute, "m"), (second, "s"))
    return "".join(f"{value}{unit}" for value, unit in parts if value)
