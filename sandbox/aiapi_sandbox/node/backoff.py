"""How long to wait before the next try: doubling, with a cap, forgotten after a good run."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class BackoffPolicy:
    """The kubelet's scheme (10 s doubling to 5 min) in the sandbox's smaller measure."""

    initial: float = 1.0
    factor: float = 2.0
    maximum: float = 60.0
    reset_after: float = 120.0


@dataclass(kw_only=True)
class Backoff:
    """The state for one container."""

    policy: BackoffPolicy = field(default_factory=BackoffPolicy)
    current: float = 0.0

    def next_delay(self, *, ran_for: float) -> float:
        """Return the delay after a run of that length. The first failure is retried at once."""
        if ran_for >= self.policy.reset_after:
            self.current = 0.0
        delay = self.current
        grown = self.current * self.policy.factor if self.current else self.policy.initial
        self.current = min(grown, self.policy.maximum)
        return delay
