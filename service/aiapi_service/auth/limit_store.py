"""The store that counts callers, shared by the limits of requests and of tokens.

When it is not available, requests are served uncounted: a limit protects the service from its
callers, and an outage of the store must not become an outage of the service.
"""

import asyncio
import logging
from time import monotonic

from fastapi import Request

from aiapi_service.auth.login_throttle import network
from aiapi_service.auth.principal import Principal
from aiapi_service.store.errors import StoreUnavailableError
from aiapi_service.store.limits import LimitResult, Rate, RateLimiter

logger = logging.getLogger("aiapi.auth")

# Long enough for a busy event loop: a loaded worker must still count.
_TIMEOUT_SECONDS = 2.0
_PAUSE_SECONDS = 1.0
_WARNING_INTERVAL_SECONDS = 60.0


class LimitStore:
    """The view of one worker on the store."""

    def __init__(self, limiter: RateLimiter) -> None:
        self._limiter = limiter
        self._paused_until = 0.0
        self._next_warning = 0.0

    async def acquire(self, rate: Rate, name: tuple[str, ...], count: int) -> LimitResult | None:
        """Take `count`, all or none; None when the store is not available."""
        now = monotonic()
        if now < self._paused_until:
            return None
        if self._paused_until:
            # After a failure one request probes the store; the others do not wait for it.
            self._paused_until = now + _TIMEOUT_SECONDS + _PAUSE_SECONDS
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                result = await self._limiter.acquire(rate, *name, count=count)
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


def caller_name(request: Request, caller: Principal) -> tuple[str, ...]:
    """The name of the caller's buckets."""
    if caller.kind == "off":
        return ("caller of address", network(request.client.host if request.client else ""))
    return ("caller", caller.tenant, caller.subject)
