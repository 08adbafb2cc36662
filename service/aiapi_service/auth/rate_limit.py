"""Limits the requests per caller, across all workers and pods.

Requests are counted in Redis, else in the database, else in the worker. When the store is not
available, requests are served uncounted: the limit protects the service from its callers, and an
outage of the store must not become an outage of the service.
"""

import asyncio
import logging
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

from fastapi import Request

from aiapi_runtime.telemetry import metrics
from aiapi_service.auth.errors import too_many_requests
from aiapi_service.auth.login_throttle import network
from aiapi_service.auth.principal import Principal
from aiapi_service.auth.settings import AuthSettings
from aiapi_service.store.database import Database
from aiapi_service.store.errors import StoreUnavailableError
from aiapi_service.store.limits import LimitResult, PostgresLimiter, Rate, RateLimiter
from aiapi_service.store.memory_limits import MemoryLimiter
from aiapi_service.store.redis_limits import open_redis

logger = logging.getLogger("aiapi.auth")

CHECKS = metrics.counter(
    "aiapi_rate_limit_checks",
    "Requests counted against their caller's limit: allowed, refused, or served uncounted.",
    ["outcome"],
)
RATE_LIMIT_HEADERS = "aiapi.rate_limit"
"""Key in the ASGI scope for the RateLimit response headers."""

_MINUTE = 60.0
# Long enough for a busy event loop: a loaded worker must still count.
_TIMEOUT_SECONDS = 2.0
# Two attempts fit into the timeout: Redis may have closed an idle connection.
_ATTEMPT_SECONDS = 0.9
_PAUSE_SECONDS = 1.0
_WARNING_INTERVAL_SECONDS = 60.0


class CallerRateLimiter:
    """The limiter of one worker. All workers share the buckets."""

    def __init__(self, limiter: RateLimiter, *, limit: int, burst: int) -> None:
        self._limiter = limiter
        self._limit = limit
        self._rate = Rate(burst, _MINUTE / limit)
        self._policy = f'"caller";q={limit};w={_MINUTE:g}'.encode()
        self._paused_until = 0.0
        self._next_warning = 0.0

    async def take(self, request: Request, caller: Principal) -> None:
        """Count one request."""
        await self._take(request, caller, 1, 0)

    async def take_remaining(self, request: Request, caller: Principal, count: int) -> None:
        """Count the rest of a request that counts as `count` requests and was counted as one."""
        more = min(count, self._rate.burst) - 1
        if more > 0:
            # A retry first takes the one that was already counted, so wait for that one too.
            await self._take(request, caller, more, self._rate.seconds)

    async def _take(
        self, request: Request, caller: Principal, count: int, extra_wait: float
    ) -> None:
        result = await self._acquire(_name(request, caller), count)
        if result is None:
            CHECKS.labels("uncounted").inc()
            return
        left, full_in = result.left(self._rate), math.ceil(result.full_in)
        request.scope[RATE_LIMIT_HEADERS] = [
            (b"ratelimit-policy", self._policy),
            (b"ratelimit", f'"caller";r={left};t={full_in}'.encode()),
        ]
        if result.wait:
            CHECKS.labels("refused").inc()
            raise too_many_requests(self._limit, max(1, math.ceil(result.wait + extra_wait)))
        CHECKS.labels("allowed").inc()

    async def _acquire(self, name: tuple[str, ...], count: int) -> LimitResult | None:
        now = monotonic()
        if now < self._paused_until:
            return None
        if self._paused_until:
            # After a failure one request probes the store; the others do not wait for it.
            self._paused_until = now + _TIMEOUT_SECONDS + _PAUSE_SECONDS
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                result = await self._limiter.acquire(self._rate, *name, count=count)
                self._paused_until = 0.0
                return result
        except (StoreUnavailableError, TimeoutError) as error:
            self._paused_until = monotonic() + _PAUSE_SECONDS
            if now >= self._next_warning:
                self._next_warning = now + _WARNING_INTERVAL_SECONDS
                reason = str(error) or f"no answer within {_TIMEOUT_SECONDS:g} s"
                logger.warning(
                    "rate limit store not available, serving requests uncounted: %s", reason
                )
            return None


def _name(request: Request, caller: Principal) -> tuple[str, ...]:
    if caller.kind == "off":
        return ("caller of address", network(request.client.host if request.client else ""))
    return ("caller", caller.tenant, caller.subject)


@asynccontextmanager
async def open_rate_limiter(
    settings: AuthSettings, database: Database | None
) -> AsyncIterator[CallerRateLimiter | None]:
    """The rate limiter for these settings; None without a limit."""
    limit = settings.rate_limit
    burst = settings.rate_burst or limit
    if not limit:
        yield None
    elif settings.redis_url is not None:
        url = settings.redis_url.get_secret_value()
        async with open_redis(url, settings.redis_prefix, seconds=_ATTEMPT_SECONDS) as limiter:
            yield CallerRateLimiter(limiter, limit=limit, burst=burst)
    elif database is not None:
        yield CallerRateLimiter(PostgresLimiter(database), limit=limit, burst=burst)
    else:
        logger.warning(
            "AIAPI_RATE_LIMIT applies to each worker separately: set AIAPI_REDIS_URL or "
            "AIAPI_DATABASE_URL to share it"
        )
        yield CallerRateLimiter(MemoryLimiter(), limit=limit, burst=burst)
