"""The one dependency that every route declares: who may call it."""

from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer, OAuth2PasswordBearer, SecurityScopes

from aiapi_service.auth.authenticator import ANYBODY, Authenticator
from aiapi_service.auth.errors import insufficient_scope, invalid_token, unauthenticated
from aiapi_service.auth.principal import SCOPES, Principal

# Both read one header; they are two so that the documentation shows both ways in.
_OAUTH2 = OAuth2PasswordBearer(
    tokenUrl="/v1/auth/token",
    refreshUrl="/v1/auth/token",
    scopes=SCOPES,
    scheme_name="password",
    description="A user's name and password, for a short access token.",
    auto_error=False,
)
_BEARER = HTTPBearer(
    scheme_name="bearer",
    description="An API key, or an access token of the configured OpenID Connect provider.",
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


async def authenticate(
    request: Request,
    wanted: SecurityScopes,
    _oauth2: Annotated[object, Depends(_OAUTH2)],
    _bearer: Annotated[object, Depends(_BEARER)],
) -> Principal:
    """Let the caller in, or say why not."""
    authenticator: Authenticator = request.app.state.services.auth.authenticator
    if authenticator.off:
        return ANYBODY
    token = credential(request)
    if token is None:
        raise unauthenticated()
    principal = await authenticator.authenticate(token)
    missing = [scope for scope in wanted.scopes if scope not in principal.scopes]
    if missing:
        raise insufficient_scope(missing)
    return principal


def require(*scopes: str) -> Any:
    """Who calls a route must have these scopes; without any, must only be known."""
    unknown = set(scopes) - set(SCOPES)
    if unknown:
        raise ValueError(f"there is no scope {unknown.pop()}")
    return Security(authenticate, scopes=scopes)
