"""How many requests one caller may make, over all workers and pods.

Counted in Redis where there is one, else in the database, else in the worker. A count that cannot
be had stops nobody: the limit protects the service from its callers, not from its own store.
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
"""Where the scope of a request has the headers that tell its caller what is left."""

_MINUTE = 60.0
# Also of a busy loop: a worker under load is to count all the same.
_TIMEOUT_SECONDS = 2.0
# Two of them fit: a connection that Redis has closed meanwhile is no failure.
_TRY_SECONDS = 0.9
_REST_SECONDS = 1.0
_WARN_SECONDS = 60.0


class CallerRateLimiter:
    """The limit of each caller; one a worker, all on the same buckets."""

    def __init__(self, buckets: RateLimiter, *, limit: int, burst: int) -> None:
        self._buckets = buckets
        self._limit = limit
        self._rate = Rate(burst, _MINUTE / limit)
        self._policy = f'"caller";q={limit};w={_MINUTE:g}'.encode()
        self._rest_until = 0.0
        self._warn_at = 0.0

    async def take(self, request: Request, caller: Principal) -> None:
        """One request."""
        await self._take(request, caller, 1, 0)

    async def take_more(self, request: Request, caller: Principal, count: int) -> None:
        """A request that is as many as this; it was taken once already."""
        more = min(count, self._rate.burst) - 1
        if more > 0:
            # Who comes again begins with the one that was taken: it must be there, too.
            await self._take(request, caller, more, self._rate.seconds)

    async def _take(self, request: Request, caller: Principal, count: int, later: float) -> None:
        taken = await self._ask(_name(request, caller), count)
        if taken is None:
            CHECKS.labels("uncounted").inc()
            return
        left, full = taken.left(self._rate), math.ceil(taken.ahead)
        request.scope[RATE_LIMIT_HEADERS] = [
            (b"ratelimit-policy", self._policy),
            (b"ratelimit", f'"caller";r={left};t={full}'.encode()),
        ]
        if taken.wait:
            CHECKS.labels("refused").inc()
            raise too_many_requests(self._limit, max(1, math.ceil(taken.wait + later)))
        CHECKS.labels("allowed").inc()

    async def _ask(self, name: tuple[str, ...], count: int) -> LimitResult | None:
        now = monotonic()
        if now < self._rest_until:
            return None
        if self._rest_until:
            # It was away: one request finds out whether it is back, the others do not wait for it.
            self._rest_until = now + _TIMEOUT_SECONDS + _REST_SECONDS
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                taken = await self._buckets.ask(self._rate, *name, count=count)
                self._rest_until = 0.0
                return taken
        except (StoreUnavailableError, TimeoutError) as error:
            self._rest_until = monotonic() + _REST_SECONDS
            if now >= self._warn_at:
                self._warn_at = now + _WARN_SECONDS
                reason = str(error) or f"no answer within {_TIMEOUT_SECONDS:g} s"
                logger.warning("requests are not counted, and served: %s", reason)
            return None


def _name(request: Request, caller: Principal) -> tuple[str, ...]:
    if caller.kind == "off":
        return ("caller of address", network(request.client.host if request.client else ""))
    return ("caller", caller.tenant, caller.subject)


@asynccontextmanager
async def open_rate_limiter(
    settings: AuthSettings, database: Database | None
) -> AsyncIterator[CallerRateLimiter | None]:
    """The limits of these settings; None where there are none."""
    limit = settings.rate_limit
    burst = settings.rate_burst or limit
    if not limit:
        yield None
    elif settings.redis_url is not None:
        url = settings.redis_url.get_secret_value()
        async with open_redis(url, settings.redis_prefix, seconds=_TRY_SECONDS) as buckets:
            yield CallerRateLimiter(buckets, limit=limit, burst=burst)
    elif database is not None:
        yield CallerRateLimiter(PostgresLimiter(database), limit=limit, burst=burst)
    else:
        logger.warning(
            "AIAPI_RATE_LIMIT holds in each worker for itself: there is neither AIAPI_REDIS_URL "
            "nor AIAPI_DATABASE_URL"
        )
        yield CallerRateLimiter(MemoryLimiter(), limit=limit, burst=burst)
