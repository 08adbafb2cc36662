"""Limits the tokens per caller, across all workers and pods.

The tokens of a request are known after it. So a request is admitted while a token is left, and its
tokens are charged at its end, also those over the limit: the caller then waits for them.
"""

import math
from contextvars import ContextVar
from dataclasses import dataclass

from fastapi import Request

from aiapi_service.auth.errors import too_many_tokens
from aiapi_service.auth.limit_store import LimitStore, caller_name
from aiapi_service.auth.principal import Principal
from aiapi_service.auth.settings import AuthSettings
from aiapi_service.store.limits import Rate

TOKEN_ACCOUNT = "aiapi.token_account"  # noqa: S105 - a key
"""Key in the ASGI scope for the account of the request."""

_SECONDS = {"minute": 60.0, "day": 86400.0}
# Larger than any debt, so that a charge is never refused.
_ANY_BURST = 10**15


@dataclass(slots=True)
class TokenAccount:
    """The tokens of one request."""

    limiter: "TokenLimiter"
    name: tuple[str, ...]
    used: int = 0

    async def settle(self) -> None:
        """Charge the tokens. One was taken before."""
        if self.used > 1:
            await self.limiter.charge(self.name, self.used - 1)


_account: ContextVar[TokenAccount | None] = ContextVar("token_account", default=None)


def count_tokens(count: int) -> None:
    """Count tokens of the current request."""
    account = _account.get()
    if account is not None:
        account.used += count


class TokenLimiter:
    """The limits of one worker. All workers share the buckets."""

    def __init__(self, store: LimitStore, limits: dict[str, int]) -> None:
        self._store = store
        self._limits = limits
        self._rates = {
            period: Rate(limit, _SECONDS[period] / limit) for period, limit in limits.items()
        }

    async def admit(self, request: Request, caller: Principal) -> None:
        """Take one token of each limit, and open an account for the others."""
        name = caller_name(request, caller)
        for period, rate in self._rates.items():
            result = await self._store.acquire(rate, ("tokens", period, *name), 1)
            if result is not None and result.wait:
                seconds = max(1, math.ceil(result.wait))
                raise too_many_tokens(self._limits[period], period, seconds)
        account = TokenAccount(self, name)
        request.scope[TOKEN_ACCOUNT] = account
        _account.set(account)

    async def charge(self, name: tuple[str, ...], count: int) -> None:
        """Take tokens, whether they are left or not."""
        for period, rate in self._rates.items():
            any_count = Rate(_ANY_BURST, rate.seconds)
            await self._store.acquire(any_count, ("tokens", period, *name), count)


def token_limiter(settings: AuthSettings, store: LimitStore) -> TokenLimiter | None:
    """The limiter for these settings; None without a limit."""
    limits = {"minute": settings.tokens_per_minute, "day": settings.tokens_per_day}
    limits = {period: limit for period, limit in limits.items() if limit}
    return TokenLimiter(store, limits) if limits else None
