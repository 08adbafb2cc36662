"""The OAuth 2 endpoints: log in and refresh (RFC 6749), log out (RFC 7009), and show the caller."""

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
        "scope": {
            "type": "string",
            "description": "Scopes to request, separated by spaces. Defaults to all of the user, "
            "or of the session.",
        },
        "refresh_token": _TOKEN,
    },
}
_REVOKE_FORM = {"type": "object", "required": ["token"], "properties": {"token": _TOKEN}}
_FORM_TYPE = "application/x-www-form-urlencoded"
_ERRORS = {
    400: "The grant was refused.",
    408: "The form was not received in time.",
    413: "The form is too large.",
    415: "The body is not a form.",
    429: "Too many attempts; see Retry-After.",
    503: "Login is not available; see Retry-After.",
}


def _responses(errors: dict[int, str]) -> dict[int | str, dict[str, Any]]:
    return {
        status: {"description": text, "content": {"application/problem+json": {}}}
        for status, text in errors.items()
    }


def _body(schema: dict[str, Any], example: dict[str, str]) -> dict[str, Any]:
    content = {_FORM_TYPE: {"schema": schema, "example": example}}
    return {"requestBody": {"required": True, "content": content}}


class TokenPair(BaseModel):
    """A response of the token endpoint (RFC 6749)."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - the name of a scheme
    expires_in: int
    refresh_token: str
    scope: str


class CallerInfo(BaseModel):
    """The principal of a credential."""

    subject: str
    tenant: str
    scopes: list[str]
    kind: str


def _password_flow(request: Request) -> PasswordFlow:
    auth = request.app.state.services.auth
    if auth.password_flow is None:
        raise login_unavailable(auth.login_unavailable)
    found: PasswordFlow = auth.password_flow
    return found


def _address(request: Request) -> str:
    # Uvicorn sets the address, and uses X-Forwarded-For for trusted proxies only. Reading the
    # header here would trust every client.
    return request.client.host if request.client else "unknown"


@router.post(
    "/token",
    summary="Log in or refresh",
    responses=_responses(_ERRORS),
    openapi_extra=_body(
        _TOKEN_FORM,
        {"grant_type": "password", "username": "ann", "password": "correct horse battery staple"},
    ),
)
async def token(request: Request, response: Response) -> TokenPair:
    """Exchange a user name and password, or a refresh token, for a new pair of tokens.

    A refresh token can be used once. Reusing it later ends the session, since it may be stolen.
    """
    response.headers["Cache-Control"] = "no-store"
    flow = _password_flow(request)
    fields = await form.read_form(request)
    address = _address(request)
    grant = form.required_field(fields, "grant_type")
    scopes = frozenset(fields.get("scope", "").split())
    if grant == "password":
        tokens = await flow.log_in(
            form.required_field(fields, "username"),
            form.required_field(fields, "password"),
            scopes=scopes,
            address=address,
        )
    elif grant == "refresh_token":
        tokens = await flow.refresh(
            form.required_field(fields, "refresh_token"), scopes=scopes, address=address
        )
    else:
        raise grant_error("unsupported_grant_type", "Use password or refresh_token.")
    return _pair(tokens, request.app.state.services.settings.auth_access_seconds)


def _pair(tokens: IssuedTokens, seconds: int) -> TokenPair:
    return TokenPair(
        access_token=tokens.access_token,
        expires_in=seconds,
        refresh_token=tokens.refresh_token,
        scope=" ".join(sorted(tokens.scopes)),
    )


@router.post(
    "/revoke",
    summary="Log out",
    responses=_responses(_ERRORS),
    openapi_extra=_body(_REVOKE_FORM, {"token": "aiapi-refresh_..."}),
)
async def revoke(request: Request) -> dict[str, str]:
    """End a session by its refresh or access token. Unknown tokens are not an error."""
    flow = _password_flow(request)
    fields = await form.read_form(request)
    await flow.revoke(form.required_field(fields, "token"), address=_address(request))
    return {}


@router.get(
    "/me",
    summary="Show the caller",
    responses=_responses(
        {401: "The credential is not valid.", 503: "The credential cannot be checked now."}
    ),
)
async def me(principal: Annotated[Principal, require()]) -> CallerInfo:
    """The subject, tenant and scopes of the credential."""
    return CallerInfo(
        subject=principal.subject,
        tenant=principal.tenant,
        scopes=sorted(principal.scopes),
        kind=principal.kind,
    )
