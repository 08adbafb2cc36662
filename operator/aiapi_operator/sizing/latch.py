"""Hysteresis: a finding turns on after it lasts, and off after it is clearly gone.

A value around its threshold would toggle a condition every tick. So there are two thresholds, and
the value must stay beyond either for a time:

    latency 0.79, 0.81, 0.79, 0.81 s against 0.8 s: neither lasts for 10 s, so nothing changes
"""

from aiapi_operator.sizing.state import Latch

AFTER = 10.0
"""Seconds for which a finding must last until a condition has it. Chosen: a few ticks; three times
as long to end."""


def update(
    latch: Latch, finding: bool | None, *, now: float, on_after: float, off_after: float
) -> Latch:
    """The latch after ``finding``: True is beyond the upper threshold, False below the lower one.

    None is in between or unknown: the latch keeps its value, and a pending change is canceled.
    """
    if finding is None or finding == latch.on:
        return latch if latch.since is None else Latch(on=latch.on)
    since = now if latch.since is None else latch.since
    wait = on_after if finding else off_after
    if now - since >= wait:
        return Latch(on=finding)
    return Latch(on=latch.on, since=since)
