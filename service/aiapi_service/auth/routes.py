"""The OAuth 2 endpoints: log in and refresh (RFC 6749), log out (RFC 7009), and who am I."""

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from aiapi_service.auth import form
from aiapi_service.auth.dependency import require
from aiapi_service.auth.errors import grant_error, login_unavailable
from aiapi_service.auth.password_flow import IssuedTokens, PasswordFlow
from aiapi_service.auth.principal import Principal

router = APIRouter(prefix="/v1/auth", tags=["authentication"])

_TOKEN = {"type": "string", "maxLength": 8192}
_TOKEN_FORM = {
    "type": "object",
    "required": ["grant_type"],
    "properties": {
        "grant_type": {"type": "string", "enum": ["password", "refresh_token"]},
        "username": {"type": "string", "maxLength": 128},
        "password": {"type": "string", "format": "password", "maxLength": 256},
        "scope": {"type": "string", "description": "Fewer than all, separated by spaces."},
        "refresh_token": _TOKEN,
    },
}
_REVOKE_FORM = {"type": "object", "required": ["token"], "properties": {"token": _TOKEN}}
_KIND = "application/x-www-form-urlencoded"
_NOTED = {
    400: "The grant was refused.",
    408: "The form did not come in time.",
    413: "The form is too large.",
    415: "This is not a form.",
    429: "Too many attempts; see Retry-After.",
    503: "Nobody can log in now; see Retry-After.",
}


def _answers(noted: dict[int, str]) -> dict[int | str, dict[str, Any]]:
    return {
        status: {"description": text, "content": {"application/problem+json": {}}}
        for status, text in noted.items()
    }


def _body(schema: dict[str, Any], example: dict[str, str]) -> dict[str, Any]:
    content = {_KIND: {"schema": schema, "example": example}}
    return {"requestBody": {"required": True, "content": content}}


class TokenPair(BaseModel):
    """An answer of the token endpoint, as RFC 6749 has it."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - the name of a scheme
    expires_in: int
    refresh_token: str
    scope: str


class CallerInfo(BaseModel):
    """Whom a credential stands for."""

    subject: str
    tenant: str
    scopes: list[str]
    kind: str


def _log_in(request: Request) -> PasswordFlow:
    auth = request.app.state.services.auth
    if auth.log_in is None:
        raise login_unavailable(auth.no_log_in)
    found: PasswordFlow = auth.log_in
    return found


def _address(request: Request) -> str:
    # Uvicorn puts the caller's address here, from X-Forwarded-For only where it is told to
    # believe the proxy. Reading that header once more would believe everybody.
    return request.client.host if request.client else "unknown"


@router.post(
    "/token",
    summary="Log in, or refresh",
    responses=_answers(_NOTED),
    openapi_extra=_body(
        _TOKEN_FORM,
        {"grant_type": "password", "username": "ann", "password": "correct horse battery staple"},
    ),
)
async def token(request: Request, response: Response) -> TokenPair:
    """Change a user's name and password, or a refresh token, for a new pair of tokens.

    A refresh token can be used once. One that is used again later ends the whole log-in: somebody
    else has it.
    """
    response.headers["Cache-Control"] = "no-store"
    log_in = _log_in(request)
    fields = await form.read_form(request)
    address = _address(request)
    grant = form.required_field(fields, "grant_type")
    if grant == "password":
        granted = await log_in.with_password(
            form.required_field(fields, "username"),
            form.required_field(fields, "password"),
            scopes=frozenset(fields.get("scope", "").split()),
            address=address,
        )
    elif grant == "refresh_token":
        granted = await log_in.with_refresh_token(
            form.required_field(fields, "refresh_token"), address=address
        )
    else:
        raise grant_error("unsupported_grant_type", "Use password or refresh_token.")
    return _pair(granted, request.app.state.services.settings.auth_access_seconds)


def _pair(granted: IssuedTokens, seconds: int) -> TokenPair:
    return TokenPair(
        access_token=granted.access_token,
        expires_in=seconds,
        refresh_token=granted.refresh_token,
        scope=" ".join(sorted(granted.scopes)),
    )


@router.post(
    "/revoke",
    summary="Log out",
    responses=_answers(_NOTED),
    openapi_extra=_body(_REVOKE_FORM, {"token": "aiapi-refresh_..."}),
)
async def revoke(request: Request) -> dict[str, str]:
    """End a log-in by its refresh or access token. An unknown token is no error, and not told."""
    log_in = _log_in(request)
    fields = await form.read_form(request)
    await log_in.end(form.required_field(fields, "token"), address=_address(request))
    return {}


@router.get(
    "/me",
    summary="Who am I",
    responses=_answers({401: "Nobody whom this service knows.", 503: "Nobody can be asked now."}),
)
async def me(principal: Annotated[Principal, require()]) -> CallerInfo:
    """Whom the credential stands for, and what it allows."""
    return CallerInfo(
        subject=principal.subject,
        tenant=principal.tenant,
        scopes=sorted(principal.scopes),
        kind=principal.kind,
    )
