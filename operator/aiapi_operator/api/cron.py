"""Cron expressions with five fields: minute, hour, day of month, month, day of week.

The syntax is that of CronJobs without macros and seconds, so that the API server can check it with
one regular expression. The models reject what a pattern cannot (30 February, a reversed range).
"""

import re
from datetime import datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

_MONTHS = "JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC"
_DAYS = "SUN|MON|TUE|WED|THU|FRI|SAT"
_ANY_TIME = datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC"))


def _field(value: str) -> str:
    item = f"([*]|({value})(-({value}))?)(/[1-9][0-9]?)?"
    return f"{item}(,{item})*"


PATTERN = (
    "^"
    + " +".join(
        _field(value)
        for value in (
            "[0-5]?[0-9]",
            "[01]?[0-9]|2[0-3]",
            "0?[1-9]|[12][0-9]|3[01]",
            f"0?[1-9]|1[0-2]|{_MONTHS}",
            f"[0-7]|{_DAYS}",
        )
    )
    + "$"
)
ZONE_PATTERN = "^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$"


def looks_like_cron(text: str) -> bool:
    """Whether the text has five fields, each within its range."""
    return re.fullmatch(PATTERN, text) is not None


def has_occurrence(text: str) -> bool:
    """Whether the expression matches any date."""
    try:
        next(CronSim(text, _ANY_TIME))
    except (CronSimError, StopIteration):
        return False
    return True


def looks_like_zone(name: str) -> bool:
    """Whether the text has the syntax of a time zone name."""
    return re.fullmatch(ZONE_PATTERN, name) is not None


def is_zone(name: str) -> bool:
    """Whether the name is in the time zone database."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def next_occurrence(text: str, at: datetime) -> datetime:
    """The first occurrence after ``at``."""
    return next(CronSim(text, at))


def previous_occurrence(text: str, at: datetime) -> datetime:
    """The last occurrence before ``at``."""
    return next(CronSim(text, at, reverse=True))
