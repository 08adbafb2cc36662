"""Hysteresis: a finding turns on when it lasts, and off when it is clearly gone.

A value that wavers around its threshold would turn a condition on and off with every tick. So
there are two thresholds, and either side has to last:

    latency 0.79, 0.81, 0.79, 0.81 s against 0.8 s: neither lasts for 10 s, nothing turns
"""

from aiapi_operator.sizing.state import Latch


def update(
    latch: Latch, finding: bool | None, *, now: float, on_after: float, off_after: float
) -> Latch:
    """The latch after ``finding``: True is beyond the upper threshold, False below the lower one.

    None is in between, or not known: it leaves things as they are and ends what was about to
    turn.
    """
    if finding is None or finding == latch.on:
        return Latch(on=latch.on)
    since = now if latch.since is None else latch.since
    wait = on_after if finding else off_after
    if now - since >= wait:
        return Latch(on=finding)
    return Latch(on=latch.on, since=since)
