"""Rate limits across workers and pods: one row per bucket, one atomic statement per attempt.

A bucket is stored as the time at which it is full again (the generic cell rate algorithm), so no
job has to refill it, and rows with a time in the past can be deleted. Implementations for Redis and
for the memory of one worker follow the same protocol.
"""

import hashlib
import math
from dataclasses import dataclass
from typing import Protocol

from aiapi_service.store.database import Database

_TAKE = """
INSERT INTO rate_limits AS stored (bucket, arrival, granted)
VALUES ($1, clock_timestamp() + $2 * interval '1 second', true)
ON CONFLICT (bucket) DO UPDATE SET (arrival, granted) = (
    SELECT CASE WHEN next.at <= clock.now + $3 * interval '1 second'
                THEN next.at ELSE stored.arrival END,
           next.at <= clock.now + $3 * interval '1 second'
    FROM (SELECT clock_timestamp() AS now) AS clock,
         LATERAL (
            SELECT greatest(stored.arrival, clock.now) + $2 * interval '1 second' AS at
         ) AS next
)
RETURNING granted, extract(epoch FROM arrival - clock_timestamp())::float8 AS ahead
"""


@dataclass(frozen=True)
class Rate:
    """A burst, and the seconds until one more is allowed."""

    burst: int
    seconds: float

    @property
    def span(self) -> float:
        """Seconds until an empty bucket is full."""
        return self.burst * self.seconds


@dataclass(frozen=True, slots=True)
class LimitResult:
    """The result of an attempt. Either the whole count is taken or nothing."""

    wait: float
    """Seconds until the count is available; 0 when it was taken."""
    full_in: float
    """Seconds until the bucket is full."""

    def left(self, rate: Rate) -> int:
        """The number available now."""
        return max(0, math.floor((rate.span - self.full_in) / rate.seconds + 1e-6))


class RateLimiter(Protocol):
    """A store of buckets. The name of a bucket has parts, such as ("account", "ann")."""

    async def acquire(self, rate: Rate, *name: str, count: int = 1) -> LimitResult:
        """Take `count`, all or none. Raises StoreUnavailableError."""


class PostgresLimiter:
    """Rate limits in Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, rate: Rate, *name: str) -> int:
        """Take one. Returns 0 on success, else the seconds until one is available."""
        result = await self.acquire(rate, *name)
        return max(1, math.ceil(result.wait)) if result.wait else 0

    async def acquire(self, rate: Rate, *name: str, count: int = 1) -> LimitResult:
        """Take `count`, all or none."""
        cost = rate.seconds * count
        row = await self._database.row(_TAKE, digest(name), cost, rate.span)
        assert row is not None  # noqa: S101 - an upsert always returns its row
        ahead = max(0.0, row["ahead"])
        return LimitResult(0.0 if row["granted"] else max(1e-3, ahead + cost - rate.span), ahead)

    async def reset(self, *name: str) -> None:
        """Fill the bucket."""
        await self._database.execute("DELETE FROM rate_limits WHERE bucket = $1", digest(name))


def digest(name: tuple[str, ...]) -> bytes:
    """The stored key of a bucket."""
    # Names come from callers: a digest bounds their length and keeps them out of the store.
    return hashlib.sha256("\0".join(name).encode("utf-8", "surrogatepass")).digest()
