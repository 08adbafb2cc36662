"""The bounds of one AIApi at the activator."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one AIApi may hold. Beyond that, requests are refused with Retry-After."""

    requests: int = 1000
    """Requests that are held at a time."""
    body_bytes: int = 64 * 1024 * 1024
    """Body bytes of held requests, in total."""
    seconds: float = 300.0
    """Seconds that a request is held, from its first byte."""
    connections: int = 10_000
    """Open connections."""


REQUEST_BODY = 1024 * 1024
"""Body bytes of one request that are read before a pod takes them. The client waits with the
rest, so that one upload does not take the memory of all others."""


def refusal(limits: Limits, held: int, held_bytes: int) -> str:
    """Why no further request is held; empty if there is room."""
    if held >= limits.requests:
        return f"{held} requests are held already"
    if held_bytes >= limits.body_bytes:
        return f"held requests have {held_bytes} bytes of body already"
    return ""
