"""The one dependency that every route declares: who may call it."""

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
    description="A user's name and password, for a short access token.",
    auto_error=False,
)


def credential(request: Request) -> str | None:
    """What the one Authorization header carries; None without one."""
    values = request.headers.getlist("authorization")
    if not values:
        return None
    scheme, _, token = values[0].partition(" ")
    if len(values) > 1 or scheme.lower() != "bearer" or not token.strip():
        raise invalid_token("Send one header 'Authorization: Bearer ...'.")
    return token.strip()


# The list of models costs nobody anything.
_LIMITED = frozenset(SCOPES) - {"models:read"}


class AuthenticationDependency(SecurityBase):
    """Who calls, as one dependency: each costs more than a look-up in the cache does.

    Who may call what costs models, vectors or the database may do so only so often.

    It shows in the documentation as the password flow. That the same header takes API keys and
    tokens of a provider is added there by the gateway.
    """

    def __init__(self) -> None:
        self.model = _OAUTH2.model
        self.scheme_name = _OAUTH2.scheme_name

    async def __call__(self, request: Request, wanted: SecurityScopes) -> Principal:
        """Let the caller in, or say why not."""
        services = request.app.state.services
        principal = await self.identify(request, services.auth.authenticator)
        missing = [scope for scope in wanted.scopes if scope not in principal.scopes]
        if missing:
            raise insufficient_scope(missing)
        callers: CallerRateLimiter | None = services.callers
        if callers is not None and not _LIMITED.isdisjoint(wanted.scopes):
            await callers.take(request, principal)
        return principal

    async def identify(self, request: Request, authenticator: Authenticator) -> Principal:
        """Whom the request's credential stands for."""
        if authenticator.off:
            return ANONYMOUS
        token = credential(request)
        if token is None:
            raise unauthenticated()
        return authenticator.cache.known(token) or await authenticator.authenticate(token)


authenticate = AuthenticationDependency()
"""For every route that has nothing more to say about it."""


def require(*scopes: str, caller: AuthenticationDependency = authenticate) -> Any:
    """Who calls a route must have these scopes; without any, must only be known."""
    unknown = set(scopes) - set(SCOPES)
    if unknown:
        raise ValueError(f"there is no scope {unknown.pop()}")
    return Security(caller, scopes=scopes)
