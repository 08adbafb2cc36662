"""How many requests a worker should have open at once, learnt from their latency. Pure.

The model is Gradient2 of Netflix's concurrency-limits
(https://github.com/Netflix/concurrency-limits): each window

    gradient  = clamp(tolerance * base / latency, 0.5, 1)
    candidate = limit * gradient + sqrt(limit) / 2
    limit     = (1 - smoothing) * limit + smoothing * candidate

with `latency` the window's mean and `base` the mean without queueing. Where latency grows with the
limit, this settles near `tolerance` times the throughput times `base`: enough to keep the worker
busy, and little more. Half of Gradient2's root: half as many wait in the loop for their turn.

Gradient2 takes a long average for `base`, which follows a lasting overload upwards and lets the
limit go. A worker knows better: the share of the window for which its loop was busy. `base` is
learnt only while the loop has time left. And a latency that grows beside a loop with time left is a
slow dependency, which refusing would not help: the limit then doubles as often as it is reached.
For the same reason the limit only falls while the loop has next to no time left.
"""

from dataclasses import dataclass
from math import sqrt

_TOLERANCE = 1.2
_HEADROOM = 0.5
_SMOOTHING = 0.4
_STEEPEST = 0.5
_CALM = 0.7
_FULL = 0.95
_BASE_WEIGHT = 0.1
_FEWEST_SAMPLES = 3


@dataclass(frozen=True)
class LimitWindow:
    """What was seen since the last update."""

    latency: float
    """Mean of the requests that were answered; seconds."""

    answered: int
    peak: int
    """The most that were open at once."""

    busy: float
    """Share of the time for which the loop was busy, 0..1."""


@dataclass
class AdaptiveLimit:
    """One a worker."""

    limit: float = 32.0
    base: float = 0.0
    was_calm: bool = False
    least: float = 2.0
    most: float = 65536.0

    def update(self, window: LimitWindow) -> None:
        if window.busy < _CALM:
            if window.answered:
                self.base += (_BASE_WEIGHT if self.was_calm else 1.0) * (window.latency - self.base)
                self.was_calm = True
            if window.peak >= self.limit / 2:
                self.limit = min(self.most, 2 * self.limit)
            return
        if window.answered < _FEWEST_SAMPLES:
            return
        self._lower_base(window.latency)
        gradient = min(1.0, max(_STEEPEST, _TOLERANCE * self.base / window.latency))
        if window.busy < _FULL:
            gradient = 1.0
        if gradient == 1.0 and window.peak < self.limit / 2:
            # It is not the limit that keeps requests few, so nothing says it may be higher.
            return
        candidate = self.limit * gradient + _HEADROOM * sqrt(self.limit)
        limit = self.limit + _SMOOTHING * (candidate - self.limit)
        self.limit = min(self.most, max(self.least, limit))

    def _lower_base(self, latency: float) -> None:
        if not self.was_calm:
            # The best that was seen is the nearest to it.
            self.base = min(self.base or latency, latency)
        elif latency < self.base:
            # Where waits differ, some window's mean is low by chance: the least of many is no base.
            self.base += _BASE_WEIGHT * (latency - self.base)
