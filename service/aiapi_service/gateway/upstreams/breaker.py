"""A circuit breaker: an upstream that fails most of the time is left alone for a while.

Pure: time is an argument. Closed, it counts calls in a window of ten seconds; open, it lets nobody
through; half-open, one call a second tries whether the upstream is back, until one has said so.
"""

from collections import deque
from enum import Enum

_WINDOW_SECONDS = 10.0
_FAILED_SHARE = 0.5
_LONGEST_SECONDS = 60.0
# A whole completion may take minutes, and what it shows by then others could have had.
_TRIAL_SECONDS = 1.0


class BreakerState(Enum):
    """In the order of worry; the value is what the metric shows."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class CircuitBreaker:
    """One upstream's."""

    def __init__(self, *, failures: int, seconds: float) -> None:
        self._failures = failures
        self._seconds = seconds
        self._pause = seconds
        self._calls: deque[tuple[float, bool]] = deque()
        self._failed = 0
        self._until = 0.0
        self._trying = False
        self._tried_at = 0.0
        self._open = False

    def state(self, now: float) -> BreakerState:
        if not self._open:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now < self._until else BreakerState.HALF_OPEN

    def would_allow(self, now: float) -> bool:
        """Whether `allow` would let a call through."""
        return not self._open or (now >= self._until and not self._is_on_trial(now))

    def _is_on_trial(self, now: float) -> bool:
        return self._trying and now - self._tried_at < _TRIAL_SECONDS

    def allow(self, now: float) -> bool:
        """Let a call through; who is let through says later how it went, or that it was dropped."""
        if not self.would_allow(now):
            return False
        self._trying, self._tried_at = self._open, now
        return True

    def wait(self, now: float) -> float:
        """Seconds until a call may try again."""
        return max(0.0, self._until - now) if self._open else 0.0

    def dropped(self) -> None:
        """A call ended without an answer, good or bad: its caller went away."""
        self._trying = False

    def succeeded(self, now: float) -> None:
        if self._open and not self._trying:
            # It was asked before it opened, or for something else: that says nothing new.
            return
        if self._open:
            self._open = False
            self._trying = False
            self._pause = self._seconds
            self._calls.clear()
            self._failed = 0
        self._note(now, failed=False)

    def failed(self, now: float) -> None:
        if self._open:
            # Calls that began before it opened say nothing new; the one that tries does.
            if self._trying:
                self._trying = False
                self._pause = min(2 * self._pause, _LONGEST_SECONDS)
                self._until = now + self._pause
            return
        self._note(now, failed=True)
        if self._failed >= self._failures and self._failed >= _FAILED_SHARE * len(self._calls):
            self._open = True
            self._until = now + self._pause

    def spoiled(self, now: float) -> None:
        """A call that began well has ended badly: it was one call, and failed."""
        for at, (_, failed) in enumerate(self._calls):
            if not failed:
                del self._calls[at]
                break
        self.failed(now)

    def _note(self, now: float, *, failed: bool) -> None:
        self._calls.append((now, failed))
        self._failed += failed
        while self._calls and now - self._calls[0][0] > _WINDOW_SECONDS:
            self._failed -= self._calls.popleft()[1]
