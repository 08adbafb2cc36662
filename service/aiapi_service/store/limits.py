"""Rate limits that hold across workers and pods: one row a bucket, one atomic statement a try.

The bucket is kept as the time at which it would be full again (the generic cell rate algorithm),
so that nothing has to fill it up, and a row that lies in the past says nothing and can go.
Redis and a worker's own memory keep the same buckets in their own ways.
"""

import hashlib
import math
from dataclasses import dataclass
from typing import Protocol

from aiapi_service.store.database import Database

_TAKE = """
INSERT INTO rate_limits AS held (bucket, arrival, granted)
VALUES ($1, clock_timestamp() + $2 * interval '1 second', true)
ON CONFLICT (bucket) DO UPDATE SET (arrival, granted) = (
    SELECT CASE WHEN next.at <= clock.now + $3 * interval '1 second'
                THEN next.at ELSE held.arrival END,
           next.at <= clock.now + $3 * interval '1 second'
    FROM (SELECT clock_timestamp() AS now) AS clock,
         LATERAL (SELECT greatest(held.arrival, clock.now) + $2 * interval '1 second' AS at) AS next
)
RETURNING granted, extract(epoch FROM arrival - clock_timestamp())::float8 AS ahead
"""


@dataclass(frozen=True)
class Rate:
    """So many at once, and one more each so many seconds."""

    burst: int
    seconds: float

    @property
    def span(self) -> float:
        """Seconds until an empty bucket is full."""
        return self.burst * self.seconds


@dataclass(frozen=True, slots=True)
class LimitResult:
    """What became of a try. Nothing is taken where not all was there."""

    wait: float
    """Seconds after which as much will be there; 0 when it was."""
    ahead: float
    """Seconds until the bucket is full."""

    def left(self, rate: Rate) -> int:
        """How many more are there now."""
        return max(0, math.floor((rate.span - self.ahead) / rate.seconds + 1e-6))


class RateLimiter(Protocol):
    """Wherever they are kept. A bucket is named by what it limits, such as ("account", "ann")."""

    async def ask(self, rate: Rate, *name: str, count: int = 1) -> LimitResult:
        """Take so many, all or none. Raises StoreUnavailableError."""


class PostgresLimiter:
    """Buckets in Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, rate: Rate, *name: str) -> int:
        """Take one: 0 when it was there, else the seconds after which it will be."""
        taken = await self.ask(rate, *name)
        return max(1, math.ceil(taken.wait)) if taken.wait else 0

    async def ask(self, rate: Rate, *name: str, count: int = 1) -> LimitResult:
        """Take so many, all or none."""
        cost = rate.seconds * count
        row = await self._database.row(_TAKE, digest(name), cost, rate.span)
        assert row is not None  # noqa: S101 - an upsert always returns its row
        ahead = max(0.0, row["ahead"])
        return LimitResult(0.0 if row["granted"] else max(1e-3, ahead + cost - rate.span), ahead)

    async def refill(self, *name: str) -> None:
        """Forget what was taken."""
        await self._database.execute("DELETE FROM rate_limits WHERE bucket = $1", digest(name))


def digest(name: tuple[str, ...]) -> bytes:
    """Of a bucket's name."""
    # Names come from callers: a digest bounds their length and keeps them out of the table.
    return hashlib.sha256("\0".join(name).encode("utf-8", "surrogatepass")).digest()
