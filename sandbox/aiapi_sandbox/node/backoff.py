"""Restart back-off: doubles up to a maximum, and resets after a long run."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class BackoffPolicy:
    """Like the kubelet's policy (10 s doubling to 5 min), with shorter times."""

    initial: float = 1.0
    factor: float = 2.0
    maximum: float = 60.0
    reset_after: float = 120.0


@dataclass(kw_only=True)
class Backoff:
    """The back-off state of one container."""

    policy: BackoffPolicy = field(default_factory=BackoffPolicy)
    current: float = 0.0

    def next_delay(self, *, ran_for: float) -> float:
        """Return the delay after a run of this length. The first restart is immediate."""
        if ran_for >= self.policy.reset_after:
            self.current = 0.0
        delay = self.current
        next_delay = self.current * self.policy.factor if self.current else self.policy.initial
        self.current = min(next_delay, self.policy.maximum)
        return delay
