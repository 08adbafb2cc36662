"""How long workers take to start: from their fork until they serve. It is not load."""

from bisect import bisect_left

BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Seconds. A start that takes longer than 300 s is given up by default (--start-limit)."""


class StartTimes:
    """All starts of the pod's workers so far."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.sum = 0.0
        self.last: float | None = None
        """Seconds of the latest start; None before the first."""

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.sum += seconds
        self.last = seconds
