"""How many requests a worker should have open at once, learned from their latency. Pure.

The model is Gradient2 of Netflix's concurrency-limits
(https://github.com/Netflix/concurrency-limits): each window

    gradient  = clamp(tolerance * base / latency, 0.5, 1)
    candidate = limit * gradient + sqrt(limit) / 2
    limit     = (1 - smoothing) * limit + smoothing * candidate

where `latency` is the window's mean and `base` the mean without queueing. Where latency grows with
the limit, this settles near `tolerance` times the throughput times `base`: enough to keep the
worker busy, and little more. The root is half of Gradient2's, so half as many requests wait in the
loop.

Gradient2 uses a long average for `base`, which follows a lasting overload upwards, so the limit is
lost. A worker also measures how much of the window its loop was busy, so `base` is learned only
while the loop has time left. Latency that grows while the loop has time left comes from a slow
dependency, which refusing requests would not help: the limit then doubles each time it is reached.
For the same reason the limit only falls while the loop has almost no time left.
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
_MIN_SAMPLES = 3


@dataclass(frozen=True)
class LimitWindow:
    """What was measured since the last update."""

    latency: float
    """Mean over the answered requests, in seconds."""

    answered: int
    peak: int
    """The maximum of requests open at once."""

    busy: float
    """Share of the time in which the loop was busy, 0..1."""


@dataclass
class AdaptiveLimit:
    """One per worker."""

    limit: float = 32.0
    base: float = 0.0
    was_calm: bool = False
    minimum: float = 2.0
    maximum: float = 65536.0

    def update(self, window: LimitWindow) -> None:
        if window.busy < _CALM:
            if window.answered:
                self.base += (_BASE_WEIGHT if self.was_calm else 1.0) * (window.latency - self.base)
                self.was_calm = True
            if window.peak >= self.limit / 2:
                self.limit = min(self.maximum, 2 * self.limit)
            return
        if window.answered < _MIN_SAMPLES:
            return
        self._lower_base(window.latency)
        gradient = min(1.0, max(_STEEPEST, _TOLERANCE * self.base / window.latency))
        if window.busy < _FULL:
            gradient = 1.0
        if gradient == 1.0 and window.peak < self.limit / 2:
            # The limit is not what keeps requests few, so there is no evidence for a higher one.
            return
        candidate = self.limit * gradient + _HEADROOM * sqrt(self.limit)
        limit = self.limit + _SMOOTHING * (candidate - self.limit)
        self.limit = min(self.maximum, max(self.minimum, limit))

    def _lower_base(self, latency: float) -> None:
        if not self.was_calm:
            # The lowest latency seen is the best estimate so far.
            self.base = min(self.base or latency, latency)
        elif latency < self.base:
            # Where waits differ, some window's mean is low by chance, so the minimum is no base.
            self.base += _BASE_WEIGHT * (latency - self.base)
