"""The authentication dependency that every protected route declares."""

from typing import Any

from fastapi import Request, Security
from fastapi.security import OAuth2PasswordBearer, SecurityScopes
from fastapi.security.base import SecurityBase

from aiapi_service.auth.authenticator import ANONYMOUS, Authenticator
from aiapi_service.auth.errors import insufficient_scope, invalid_token, unauthenticated
from aiapi_service.auth.principal import SCOPES, Principal
from aiapi_service.auth.rate_limit import CallerRateLimiter

_OAUTH2 = OAuth2PasswordBearer(
    tokenUrl="/v1/auth/token",
    refreshUrl="/v1/auth/token",
    scopes=SCOPES,
    scheme_name="password",
    description="User name and password, exchanged for a short-lived access token.",
    auto_error=False,
)


def bearer_token(request: Request) -> str | None:
    """The bearer token of the request; None without an Authorization header."""
    values = request.headers.getlist("authorization")
    if not values:
        return None
    scheme, _, token = values[0].partition(" ")
    if len(values) > 1 or scheme.lower() != "bearer" or not token.strip():
        raise invalid_token("Send exactly one header 'Authorization: Bearer <token>'.")
    return token.strip()


# Listing models is free of cost.
_LIMITED = frozenset(SCOPES) - {"models:read"}


class AuthenticationDependency(SecurityBase):
    """Authenticates, checks scopes and applies the rate limit.

    One dependency instead of three, since each dependency costs more than a cache lookup.

    The OpenAPI document shows it as the password flow. The gateway adds the bearer scheme for API
    keys and tokens of an OpenID Connect provider.
    """

    def __init__(self) -> None:
        self.model = _OAUTH2.model
        self.scheme_name = _OAUTH2.scheme_name

    async def __call__(self, request: Request, required: SecurityScopes) -> Principal:
        """The principal of the request; raises AuthError."""
        services = request.app.state.services
        principal = await self.identify(request, services.auth.authenticator)
        missing = [scope for scope in required.scopes if scope not in principal.scopes]
        if missing:
            raise insufficient_scope(missing)
        rate_limiter: CallerRateLimiter | None = services.rate_limiter
        if rate_limiter is not None and not _LIMITED.isdisjoint(required.scopes):
            await rate_limiter.take(request, principal)
        return principal

    async def identify(self, request: Request, authenticator: Authenticator) -> Principal:
        """The principal of the request's credential."""
        if authenticator.off:
            return ANONYMOUS
        token = bearer_token(request)
        if token is None:
            raise unauthenticated()
        return authenticator.cache.known(token) or await authenticator.authenticate(token)


authenticate = AuthenticationDependency()
"""The default dependency of `require`."""


def require(*scopes: str, caller: AuthenticationDependency = authenticate) -> Any:
    """Require these scopes of a caller; without scopes, require authentication only."""
    unknown = set(scopes) - set(SCOPES)
    if unknown:
        raise ValueError(f"unknown scope {unknown.pop()}")
    return Security(caller, scopes=scopes)
