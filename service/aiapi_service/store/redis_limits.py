"""Rate limits in Redis: one key per bucket, one script per attempt.

Scripts are atomic. They use the clock of Redis, since the clocks of pods may differ. A key expires
when its bucket is full again.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiapi_runtime.telemetry.requests import upstream
from aiapi_service.store.errors import StoreUnavailableError
from aiapi_service.store.limits import LimitResult, Rate, digest
from aiapi_service.store.redis_client import connection_pool

_TAKE = """
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1e6
local full_at = tonumber(redis.call('GET', KEYS[1]) or now)
if full_at < now then full_at = now end
local next = full_at + tonumber(ARGV[1])
local wait = next - now - tonumber(ARGV[2])
if wait > 1e-4 then
  return {string.format('%.6f', wait), string.format('%.6f', full_at - now)}
end
redis.call('SET', KEYS[1], string.format('%.6f', next), 'PX', math.ceil((next - now) * 1000))
return {'0', string.format('%.6f', next - now)}
"""


class RedisLimiter:
    """Rate limits in Redis."""

    def __init__(self, client: Any, prefix: str) -> None:
        self._script = client.register_script(_TAKE)
        self._prefix = prefix

    async def acquire(self, rate: Rate, *name: str, count: int = 1) -> LimitResult:
        """Take `count`, all or none."""
        from redis.exceptions import RedisError  # noqa: PLC0415 - slow to import, rarely needed

        key = f"{self._prefix}:rate:{digest(name).hex()}"
        try:
            with upstream():
                wait, ahead = await self._script([key], [rate.seconds * count, rate.span])
        except (RedisError, OSError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            raise StoreUnavailableError(f"Redis is not available: {reason}") from error
        return LimitResult(float(wait), float(ahead))


@asynccontextmanager
async def open_redis(url: str, prefix: str, *, seconds: float) -> AsyncIterator[RedisLimiter]:
    """A limiter that connects on first use and reconnects after failures."""
    from redis.asyncio import Redis  # noqa: PLC0415 - slow to import, rarely needed

    client = Redis(connection_pool=connection_pool(url, seconds))
    try:
        yield RedisLimiter(client, prefix)
    finally:
        await client.aclose()
        await client.connection_pool.disconnect()
