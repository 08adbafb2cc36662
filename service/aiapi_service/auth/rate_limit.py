"""Limits the requests per caller, across all workers and pods.

Requests are counted in Redis, else in the database, else in the worker.
"""

import logging
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request

from aiapi_runtime.telemetry import metrics
from aiapi_service.auth.errors import too_many_requests
from aiapi_service.auth.limit_store import LimitStore, caller_name
from aiapi_service.auth.principal import Principal
from aiapi_service.auth.settings import AuthSettings
from aiapi_service.auth.token_limit import TokenLimiter, token_limiter
from aiapi_service.store.database import Database
from aiapi_service.store.limits import PostgresLimiter, Rate, RateLimiter
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
_UNLIMITED = Rate(1, 0.0)
_LIMITS = ("rate_limit", "tokens_per_minute", "tokens_per_day")
# Two attempts fit into the timeout of the store: Redis may have closed an idle connection.
_ATTEMPT_SECONDS = 0.9


class CallerRateLimiter:
    """The limiter of one worker. All workers share the buckets."""

    def __init__(
        self, store: LimitStore, *, limit: int, burst: int, tokens: TokenLimiter | None = None
    ) -> None:
        self._store = store
        self._limit = limit
        self._tokens = tokens
        self._rate = Rate(burst, _MINUTE / limit) if limit else _UNLIMITED
        self._policy = f'"caller";q={limit};w={_MINUTE:g}'.encode()

    async def take(self, request: Request, caller: Principal) -> None:
        """Count one request, unless the caller has no tokens left."""
        if self._tokens is not None:
            await self._tokens.admit(request, caller)
        if self._limit:
            await self._take(request, caller, 1, 0)

    async def take_remaining(self, request: Request, caller: Principal, count: int) -> None:
        """Count the rest of a request that counts as `count` requests and was counted as one."""
        more = min(count, self._rate.burst) - 1
        if self._limit and more > 0:
            # A retry first takes the one that was already counted, so wait for that one too.
            await self._take(request, caller, more, self._rate.seconds)

    async def _take(
        self, request: Request, caller: Principal, count: int, extra_wait: float
    ) -> None:
        result = await self._store.acquire(self._rate, caller_name(request, caller), count)
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


@asynccontextmanager
async def open_rate_limiter(
    settings: AuthSettings, database: Database | None
) -> AsyncIterator[CallerRateLimiter | None]:
    """The rate limiter for these settings; None without a limit."""
    names = [name for name in _LIMITS if getattr(settings, name)]
    if not names:
        yield None
        return
    async with _open_buckets(settings, database, names) as buckets:
        store = LimitStore(buckets)
        yield CallerRateLimiter(
            store,
            limit=settings.rate_limit,
            burst=settings.rate_burst or settings.rate_limit,
            tokens=token_limiter(settings, store),
        )


@asynccontextmanager
async def _open_buckets(
    settings: AuthSettings, database: Database | None, names: list[str]
) -> AsyncIterator[RateLimiter]:
    if settings.redis_url is not None:
        url = settings.redis_url.get_secret_value()
        async with open_redis(url, settings.redis_prefix, seconds=_ATTEMPT_SECONDS) as limiter:
            yield limiter
    elif database is not None:
        yield PostgresLimiter(database)
    else:
        for name in names:
            logger.warning(
                "AIAPI_%s applies to each worker separately: set AIAPI_REDIS_URL or "
                "AIAPI_DATABASE_URL to share it",
                name.upper(),
            )
        yield MemoryLimiter()
