"""Numbers with their units, as sentences, tables and pages show them.

Status fields use the Kubernetes notation instead (``412ms``, ``43%``); ``api.duration`` has it.
No library: humanize and babel format for locales and have no "three significant digits with a
unit, and a dash for no value", which is all that is needed here.
"""

from datetime import UTC, datetime

NONE = "-"
"""Stands for a value that is not known."""


def number(value: float | None, digits: int = 3) -> str:
    """``value`` in significant digits: 412.3 -> 412, 0.6049 -> 0.605, 12345 -> 12,300."""
    if value is None:
        return NONE
    rounded = float(f"{value:.{digits}g}")
    if rounded == int(rounded) and abs(rounded) < 1e15:
        return f"{int(rounded):,}"
    return f"{rounded:.{digits}g}"


def integer(value: float | None) -> str:
    """A count, in full: 12345 -> 12,345."""
    return NONE if value is None else f"{value:,.0f}"


def count(many: int, noun: str) -> str:
    """1 pod, 2 pods."""
    return f"{many} {noun}" if many == 1 else f"{many} {noun}s"


def duration(seconds: float | None, digits: int = 2) -> str:
    """Seconds in the unit that keeps them short: 0.0091 -> 9.1 ms, 2.41 -> 2.4 s."""
    if seconds is None:
        return NONE
    if seconds == 0:
        return "0 ms"
    if seconds < 0.001:
        return f"{number(seconds * 1e6, digits)} us"
    if seconds < 1:
        return f"{number(seconds * 1000, digits)} ms"
    return f"{number(seconds, max(digits, 2))} s"


def latency(seconds: float | None) -> str:
    """A duration to three digits: 0.3571 -> 357 ms."""
    return duration(seconds, digits=3)


def percent(part: float | None, decimals: int = 0) -> str:
    """A part of one as a percentage: 0.314 -> 31 %."""
    return NONE if part is None else f"{100 * part:.{decimals}f} %"


def small_percent(part: float | None) -> str:
    """A percentage where small shares matter: 0.0042 -> 0.42 %, 0.314 -> 31 %."""
    return NONE if part is None else f"{number(100 * part, 2)} %"


def money(amount: float | None, currency: str) -> str:
    """Two decimals, and of less than one the first three digits: 12.35 EUR, 0.0836 USD."""
    if amount is None:
        return NONE
    return f"{amount:,.2f} {currency}" if abs(amount) >= 1 else f"{amount:.3g} {currency}"


def elapsed(seconds: float, *, hours: bool = False) -> str:
    """Time since a start: 1:05, or 0:01:05 with ``hours``."""
    minutes, second = divmod(int(seconds), 60)
    if not hours:
        return f"{minutes}:{second:02}"
    return f"{minutes // 60}:{minutes % 60:02}:{second:02}"


def timestamp(time: float) -> str:
    """Seconds since the epoch in RFC 3339, for ``<time datetime>``."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def date_and_time(time: float) -> str:
    """Seconds since the epoch to the minute: 2026-01-01 12:05 UTC."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M UTC")


def time_of_day(time: float) -> str:
    """Seconds since the epoch as a time of day in UTC."""
    return datetime.fromtimestamp(time, UTC).strftime("%H:%M:%S UTC")
