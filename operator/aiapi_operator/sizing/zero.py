"""When a fleet without requests stops altogether, and with how many pods it comes back. Pure.

Waiting costs a pod, and stopping too early costs somebody a cold start. If a fleet is woken soon
after it stopped, it should have waited longer. This is the ski-rental problem: whoever waits for as
long as a cold start is worth never pays more than twice the least possible. The user gives that
time as ``toZeroAfter``. Each wake-up in the last hour before the one that began this time adds as
much again, at most twice. Example: 5 minutes, and the fleet was woken 50 and 20 minutes ago. It
stops after 10 minutes without a request.

Coming back. For each hour of the day, the number of pods that were needed in the first minutes
after a wake-up is averaged; a new one weighs as much as a new day in daily_profile.py. Example: at
nine, 4 pods were needed yesterday and 2 today: 0.3 x 2 + 0.7 x 4 = 3.4, so 4 pods are started.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

from aiapi_operator.api.duration import format_duration
from aiapi_operator.sizing.learners import daily_profile

HOUR = 3600.0
"""Seconds for which a wake-up is remembered. Chosen: a few times the usual waiting time."""
MOST_WAITS = 3
"""Factor on ``toZeroAfter`` at most. Chosen: bursts that are further apart stop."""
HOURS = 24
"""Hours of a day. By definition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sleep:
    """Whether the fleet may stop now, and the reason in a sentence."""

    now: bool
    reason: str


@dataclass(frozen=True, slots=True)
class WakeUps:
    """Recent wake-ups in monotonic seconds, and the pods that wake-ups needed by hour (UTC)."""

    recent: tuple[float, ...] = ()
    hourly: tuple[float, ...] = ()
    """Empty, or a number for each hour; 0 where nothing is known."""


def patience(after: float, wakes: Sequence[float], now: float) -> float:
    """Seconds without a request until the fleet stops.

    >>> patience(300.0, [], 5000.0), patience(300.0, [2000.0, 4000.0], 5000.0)
    (300.0, 600.0)
    >>> patience(300.0, [100.0, 4000.0], 5000.0)
    300.0
    """
    recent = sum(now - wake < HOUR for wake in wakes)
    return after * min(MOST_WAITS, max(1, recent))


def sleep(after: float, idle: float | None, wakes: Sequence[float], now: float) -> Sleep:
    """Whether a fleet may stop. ``idle`` is in seconds, None if a pod's is not known."""
    if idle is None:
        return Sleep(now=False, reason="it is not known of every pod whether it has requests")
    wait = patience(after, wakes, now)
    times = round(wait / after)
    often = f", {times} times toZeroAfter because it was woken often" if times > 1 else ""
    if idle < wait:
        return Sleep(
            now=False,
            reason=f"no request for {format_duration(idle)} of {format_duration(wait)}{often}",
        )
    return Sleep(now=True, reason=f"no request for {format_duration(idle)}{often}")


def woken(known: WakeUps, now: float) -> WakeUps:
    """Remember a wake-up."""
    recent = tuple(wake for wake in known.recent if now - wake < HOUR)
    return replace(known, recent=(*recent, now)[-MOST_WAITS:])


def learn(known: WakeUps, hour: int, pods: int) -> WakeUps:
    """Add the pods that a wake-up in this hour of the day needed."""
    hourly = list(known.hourly or (0.0,) * HOURS)
    weight = daily_profile.TUNING.weight if hourly[hour % HOURS] else 1.0
    hourly[hour % HOURS] += weight * (pods - hourly[hour % HOURS])
    return replace(known, hourly=tuple(hourly))


def pods(known: WakeUps, hour: int, most: int) -> int:
    """Pods to start for the first request in this hour of the day."""
    usual = known.hourly[hour % HOURS] if known.hourly else 0.0
    return max(1, min(most, ceil(usual - 0.01)))
