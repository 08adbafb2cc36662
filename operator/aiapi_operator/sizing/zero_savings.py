"""What zero would save: the time in which a fleet that keeps its pods could have run none. Pure.

For mode Recommend, and for an AIApi whose replicas.min is not 0 yet. The same rule as in zero.py
says when the fleet would have stopped; the next request would have woken it. Example: toZeroAfter
is 5 minutes, the grace period 30 s. Of 20 minutes without a request 14.5 would have been saved, and
one request would have met a cold start. If the fleet had been woken twice within an hour, it would
have waited for 10 minutes.

A time of which it is not known whether it had requests saves nothing.
"""

from dataclasses import dataclass, field, replace

from aiapi_operator.sizing import zero
from aiapi_operator.sizing.zero import WakeUps


@dataclass(frozen=True, slots=True, kw_only=True)
class ZeroSavings:
    """What zero would have saved so far."""

    seconds: float = 0.0
    """Time without a pod."""
    cold_starts: int = 0
    """Times that a request would have started pods."""
    wakes: WakeUps = field(default_factory=WakeUps)
    sleeping: bool = False
    """Whether the fleet would have no pods now."""
    seen: float | None = None
    """Monotonic seconds of the last look."""


def watch(
    known: ZeroSavings, *, after: float, grace: float, idle: float | None, now: float
) -> ZeroSavings:
    """Add the time since the last look. ``idle`` is in seconds, None if it is not known."""
    elapsed = 0.0 if known.seen is None else max(0.0, now - known.seen)
    known = replace(known, seen=now)
    if idle is None:
        return replace(known, sleeping=False)
    if known.sleeping and idle < elapsed:
        wakes = zero.woken(known.wakes, now - idle)
        known = replace(known, wakes=wakes, cold_starts=known.cold_starts + 1, sleeping=False)
    if known.sleeping:
        return replace(known, seconds=known.seconds + elapsed)
    quiet = idle - grace - zero.patience(after, known.wakes.recent, now)
    if quiet < 0:
        return known
    return replace(known, seconds=known.seconds + min(elapsed, quiet), sleeping=True)
