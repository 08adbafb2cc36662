"""Rate limits in the memory of one worker, for workers without a shared store."""

from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

from aiapi_service.store.limits import LimitResult, Rate, digest

_MAX_BUCKETS = 100_000


class MemoryLimiter:
    """Rate limits in memory. Keeps the most recently used buckets."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._full_at: OrderedDict[bytes, float] = OrderedDict()

    async def acquire(self, rate: Rate, *name: str, count: int = 1) -> LimitResult:
        """Take `count`, all or none."""
        bucket, now = digest(name), self._clock()
        full_at = max(now, self._full_at.get(bucket, now))
        after = full_at + rate.seconds * count
        wait = after - now - rate.span
        if wait > 1e-6:
            return LimitResult(wait, full_at - now)
        self._full_at[bucket] = after
        self._full_at.move_to_end(bucket)
        if len(self._full_at) > _MAX_BUCKETS:
            self._full_at.popitem(last=False)
        return LimitResult(0.0, after - now)
