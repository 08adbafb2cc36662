"""Rate limits that hold across workers and pods: one row a bucket, one atomic statement a try.

The bucket is kept as the time at which it would be full again (the generic cell rate algorithm),
so that nothing has to fill it up, and a row that lies in the past says nothing and can go.
"""

import hashlib
import math
from dataclasses import dataclass

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


class Limiter:
    """Takes from buckets. A bucket is named by what it limits, such as ("account", "ann")."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, rate: Rate, *name: str) -> int:
        """Take one: 0 when it was there, else the seconds after which it will be."""
        row = await self._database.row(_TAKE, _bucket(name), rate.seconds, rate.span)
        assert row is not None  # noqa: S101 - an upsert always returns its row
        if row["granted"]:
            return 0
        wait: float = row["ahead"] + rate.seconds - rate.span
        return max(1, math.ceil(wait))

    async def refill(self, *name: str) -> None:
        """Forget what was taken."""
        await self._database.execute("DELETE FROM rate_limits WHERE bucket = $1", _bucket(name))


def _bucket(name: tuple[str, ...]) -> bytes:
    # Names come from callers: a digest bounds their length and keeps them out of the table.
    return hashlib.sha256("\0".join(name).encode("utf-8", "surrogatepass")).digest()
