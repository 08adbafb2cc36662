"""How often anybody may try to log in, over all workers and pods."""

from ipaddress import IPv6Address, ip_address

from aiapi_service.auth.errors import too_many_attempts
from aiapi_service.auth.settings import AuthSettings
from aiapi_service.store.limits import PostgresLimiter, Rate


class LoginThrottle:
    """Counts before a password is looked at, so that many at once do not get past the limit."""

    def __init__(self, limiter: PostgresLimiter, settings: AuthSettings) -> None:
        self._limiter = limiter
        self._account = Rate(settings.auth_account_burst, settings.auth_account_seconds)
        self._address = Rate(settings.auth_address_burst, settings.auth_address_seconds)

    async def address(self, address: str) -> None:
        """One try from an address."""
        wait = await self._limiter.take(self._address, "address", network(address))
        if wait:
            raise too_many_attempts(wait)

    async def account(self, name: str) -> None:
        """One try for an account, which need not exist: else the limit would tell who does."""
        wait = await self._limiter.take(self._account, "account", name.lower())
        if wait:
            raise too_many_attempts(wait)

    async def succeeded(self, name: str) -> None:
        """Who knows the password has made no guesses."""
        await self._limiter.refill("account", name.lower())


def network(address: str) -> str:
    """What one attacker has at least: an IPv4 address, or a /64 of IPv6."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return parsed.exploded[:19]
    return str(parsed)
