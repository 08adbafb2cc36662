"""Rate limits in this process alone: for a worker that shares no store with others."""

from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

from aiapi_service.store.limits import LimitResult, Rate, digest

_MOST = 100_000


class MemoryLimiter:
    """Buckets as the times at which they will be full; those of who came last."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._full_at: OrderedDict[bytes, float] = OrderedDict()

    async def ask(self, rate: Rate, *name: str, count: int = 1) -> LimitResult:
        """Take so many, all or none."""
        bucket, now = digest(name), self._clock()
        held = max(now, self._full_at.get(bucket, now))
        after = held + rate.seconds * count
        wait = after - now - rate.span
        if wait > 1e-6:
            return LimitResult(wait, held - now)
        self._full_at[bucket] = after
        self._full_at.move_to_end(bucket)
        if len(self._full_at) > _MOST:
            self._full_at.popitem(last=False)
        return LimitResult(0.0, after - now)
