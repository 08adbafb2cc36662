"""A budget for retries: each request earns a little, each retry costs one.

When an upstream is down, every request wants to be tried again. Without a budget the load on it is
multiplied just then, and it never comes back. Pure.
"""

_RESERVE = 10.0


class RetryBudget:
    """A bucket that holds a small reserve, so that rare failures are always tried again."""

    def __init__(self, ratio: float) -> None:
        self._ratio = ratio
        self._tokens = _RESERVE if ratio else 0.0

    def earn(self) -> None:
        """A request came in."""
        self._tokens = min(self._tokens + self._ratio, _RESERVE if self._ratio else 0.0)

    def spend(self) -> bool:
        """Whether one more attempt is within the budget; it is paid for if so."""
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
