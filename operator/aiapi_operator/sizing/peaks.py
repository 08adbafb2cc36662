"""The maximum of a sliding window, in little memory (a monotonic queue).

A stabilization window takes the highest recommendation of its length, as HPA and KPA do. Only
values that no later value reaches matter, so the stored values decrease.

    push 5, then 3, then 4:  (5), (5 3), (5 4)   - the 3 can never be the maximum again
"""

from aiapi_operator.sizing.state import PeakWindow


def push(stairs: PeakWindow, *, time: float, value: float, window: float) -> PeakWindow:
    """Adds ``value`` at ``time`` and drops values older than ``window``.

    A value is kept until it is more than ``window`` old: with 30 s, one from t=0 still counts at
    t=30 but not at t=32.
    """
    kept = [step for step in stairs if step[1] > value and step[0] >= time - window]
    kept.append((time, value))
    return tuple(kept)


def expire(stairs: PeakWindow, *, time: float, window: float) -> PeakWindow:
    """Drops values older than ``window``."""
    if not stairs or stairs[0][0] >= time - window:
        return stairs
    return tuple(step for step in stairs if step[0] >= time - window)


def peak(stairs: PeakWindow) -> float | None:
    """The maximum of the window, or None if it is empty."""
    return stairs[0][1] if stairs else None
