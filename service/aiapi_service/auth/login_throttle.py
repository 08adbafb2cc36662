"""Limits login attempts, across all workers and pods."""

from ipaddress import IPv6Address, ip_address

from aiapi_service.auth.errors import too_many_attempts
from aiapi_service.auth.settings import AuthSettings
from aiapi_service.store.limits import PostgresLimiter, Rate


class LoginThrottle:
    """Counts before the password is checked, so that concurrent attempts count too."""

    def __init__(self, limiter: PostgresLimiter, settings: AuthSettings) -> None:
        self._limiter = limiter
        self._account = Rate(settings.auth_account_burst, settings.auth_account_seconds)
        self._address = Rate(settings.auth_address_burst, settings.auth_address_seconds)

    async def check_address(self, address: str) -> None:
        """Count one attempt from an address."""
        wait = await self._limiter.take(self._address, "address", network(address))
        if wait:
            raise too_many_attempts(wait)

    async def check_account(self, name: str) -> None:
        """Count one attempt for an account. Unknown accounts count too, to reveal nothing."""
        wait = await self._limiter.take(self._account, "account", name.lower())
        if wait:
            raise too_many_attempts(wait)

    async def reset_account(self, name: str) -> None:
        """Reset the count of an account after a successful login."""
        await self._limiter.reset("account", name.lower())


def network(address: str) -> str:
    """The network to limit: an IPv4 address, or the /64 of an IPv6 address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return parsed.exploded[:19]
    return str(parsed)
