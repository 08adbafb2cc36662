"""The API's timestamps: parsing and formatting."""

from datetime import UTC, datetime
from typing import Any


def parse_time(text: str) -> datetime:
    """Parse an RFC 3339 timestamp, with or without fractions."""
    return datetime.fromisoformat(text)


def try_parse_time(value: Any) -> datetime | None:
    """Parse an RFC 3339 timestamp; None when the value is not one."""
    if not isinstance(value, str):
        return None
    try:
        return parse_time(value)
    except ValueError:
        return None


def format_time(moment: datetime) -> str:
    """Format as metav1.Time: whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_micro_time(moment: datetime) -> str:
    """Format as metav1.MicroTime, which Leases and Events use."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
