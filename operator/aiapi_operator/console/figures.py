"""Numbers as people read them, with their unit."""

from datetime import UTC, datetime

from aiapi_operator.api.duration import format_duration

NONE = "-"


def number(value: float | None) -> str:
    """Three digits, and no more."""
    if value is None:
        return NONE
    if value >= 99.95:
        return f"{value:,.0f}"
    if value < 0.0005:
        return "0"
    digits = 1 if value >= 9.995 else 2 if value >= 0.995 else 3
    return f"{value:.{digits}f}".rstrip("0").rstrip(".")


def whole(value: float | None) -> str:
    """A count."""
    return NONE if value is None else f"{value:,.0f}" if value == int(value) else f"{value:.1f}"


def seconds(value: float | None) -> str:
    """A duration."""
    return NONE if value is None else format_duration(value)


def percent(part: float | None) -> str:
    """A part of one."""
    return NONE if part is None else f"{round(100 * part)} %"


def money(value: float | None, currency: str) -> str:
    """An amount. A cent is worth showing; of small amounts so are three digits."""
    if value is None:
        return NONE
    return f"{value:,.2f} {currency}" if abs(value) >= 1 else f"{value:.3g} {currency}"


def moment(time: float) -> str:
    """For <time datetime>."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def clock(time: float) -> str:
    """Time of day; the browser makes it local."""
    return datetime.fromtimestamp(time, UTC).strftime("%H:%M:%S UTC")
