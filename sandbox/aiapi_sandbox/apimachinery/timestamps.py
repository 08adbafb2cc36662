"""The API's timestamps as text and as moments."""

from datetime import UTC, datetime


def parse_time(text: str) -> datetime:
    """Read an RFC 3339 timestamp, with or without fractions."""
    return datetime.fromisoformat(text)


def format_time(moment: datetime) -> str:
    """Write a timestamp as most fields have it: whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_micro_time(moment: datetime) -> str:
    """Write a timestamp with microseconds, as Leases and Events have it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
