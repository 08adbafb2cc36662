"""A circuit breaker for an upstream that fails most calls. Pure: time is an argument.

Closed, it counts calls in a window of ten seconds. Open, it rejects all calls. Half-open, it allows
one trial call per second until one succeeds.
"""

from collections import deque
from enum import Enum

_WINDOW_SECONDS = 10.0
_FAILED_SHARE = 0.5
_MAX_OPEN_SECONDS = 60.0
# A completion may take minutes: do not wait for its end before the next trial call.
_TRIAL_SECONDS = 1.0


class BreakerState(Enum):
    """The value is the value of the metric."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class CircuitBreaker:
    """The circuit breaker of one upstream."""

    def __init__(self, *, failures: int, seconds: float) -> None:
        self._failures = failures
        self._seconds = seconds
        self._open_seconds = seconds
        self._calls: deque[tuple[float, bool]] = deque()
        self._failed = 0
        self._until = 0.0
        self._on_trial = False
        self._trial_began = 0.0
        self._open = False

    def state(self, now: float) -> BreakerState:
        if not self._open:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now < self._until else BreakerState.HALF_OPEN

    def would_allow(self, now: float) -> bool:
        """Whether `allow` would let a call through."""
        return not self._open or (now >= self._until and not self._is_on_trial(now))

    def _is_on_trial(self, now: float) -> bool:
        return self._on_trial and now - self._trial_began < _TRIAL_SECONDS

    def allow(self, now: float) -> bool:
        """Allow a call. The caller must report its outcome later."""
        if not self.would_allow(now):
            return False
        self._on_trial, self._trial_began = self._open, now
        return True

    def wait(self, now: float) -> float:
        """Seconds until the next trial call."""
        return max(0.0, self._until - now) if self._open else 0.0

    def abandoned(self) -> None:
        """A call ended without an outcome, since its caller disconnected."""
        self._on_trial = False

    def succeeded(self, now: float) -> None:
        if self._open and not self._on_trial:
            # A call from before it opened, or another kind of call: not a trial.
            return
        if self._open:
            self._open = False
            self._on_trial = False
            self._open_seconds = self._seconds
            self._calls.clear()
            self._failed = 0
        self._note(now, failed=False)

    def failed(self, now: float) -> None:
        if self._open:
            # Only the trial call counts, not calls from before it opened.
            if self._on_trial:
                self._on_trial = False
                self._open_seconds = min(2 * self._open_seconds, _MAX_OPEN_SECONDS)
                self._until = now + self._open_seconds
            return
        self._note(now, failed=True)
        if self._failed >= self._failures and self._failed >= _FAILED_SHARE * len(self._calls):
            self._open = True
            self._until = now + self._open_seconds

    def failed_late(self, now: float) -> None:
        """A call that was counted as a success has failed: count it as one failure."""
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
