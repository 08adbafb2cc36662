"""A retry budget: each request earns a fraction of a retry, each retry costs one. Pure.

When an upstream is down, every request would be retried. Without a budget retries would multiply
its load and keep it down.
"""

_RESERVE = 10.0


class RetryBudget:
    """A token bucket with a small reserve, so that rare failures are always retried."""

    def __init__(self, ratio: float) -> None:
        self._ratio = ratio
        self._tokens = _RESERVE if ratio else 0.0

    def earn(self) -> None:
        """Count a request."""
        self._tokens = min(self._tokens + self._ratio, _RESERVE if self._ratio else 0.0)

    def spend(self) -> bool:
        """Take one retry from the budget. False when it is exhausted."""
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
