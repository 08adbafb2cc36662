"""Passes other paths below /v1 to an upstream, for callers with a scope of its own.

Files, batches or fine-tuning belong to the account of the gateway's key, not to one caller.
"""

import re
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Request, Response
from starlette.routing import Match
from starlette.types import Scope

from aiapi_service.auth import Principal, require
from aiapi_service.gateway.body import JsonBody, parse, read_body
from aiapi_service.gateway.direct_route import DirectRoute
from aiapi_service.gateway.problems import ProblemError, responses
from aiapi_service.gateway.relay import PassThroughResponse
from aiapi_service.gateway.services import services_of
from aiapi_service.gateway.upstreams.calls import Call

# Whole segments of plain characters: no escapes, and no `.` or `..`.
_PATH = re.compile(r"/v1((?:/(?!\.+(?:/|$))[A-Za-z0-9._~:@-]+)+)/?", re.ASCII)
_QUERY = re.compile(r"[\x21-\x7e]{0,4096}", re.ASCII)
_OWN = frozenset({"answer", "auth", "chats", "documents", "fanout"})
_MAX_MODEL = 256


class LastRoute(DirectRoute):
    """Matches last, so that a known path with another method stays a 405."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child = super().matches(scope)
        return (Match.PARTIAL if match is Match.FULL else match), child


router = APIRouter(tags=["pass-through"], route_class=LastRoute)


@router.api_route(
    "/v1/{path:path}",
    methods=["GET", "POST", "DELETE"],
    summary="Call another path of an upstream",
    include_in_schema=False,
    responses=responses(400, 401, 403, 404, 408, 413, 422, 429, 502, 503, 504),
)
async def pass_through(
    request: Request, _principal: Annotated[Principal, require("pass-through")]
) -> Response:
    """Pass a request to an upstream unchanged, with the gateway's key."""
    services = services_of(request)
    path = _path(request)
    content_type = request.headers.get("content-type", "")
    raw = await read_body(request, services.settings)
    call = Call(
        path=path,
        body=raw,
        kind="other",
        method=request.method,
        content_type=content_type,
        query=_query(request),
        is_unknown=True,
    )
    if raw and "json" in content_type.lower():
        call = _with_model(call, parse(raw, services.settings.max_depth))
    return PassThroughResponse(services, call)


def _with_model(call: Call, body: JsonBody) -> Call:
    """The model of a JSON body selects the upstream, and is renamed for it."""
    model = body.data.get("model")
    if not isinstance(model, str) or len(model) > _MAX_MODEL:
        return call
    return replace(call, body=body.unambiguous(), model=model, data=body.data)


def _path(request: Request) -> str:
    raw = request.scope.get("raw_path") or request.scope["path"].encode()
    found = _PATH.fullmatch(raw.partition(b"?")[0].decode("latin-1"))
    if found is None or found[1].split("/")[1] in _OWN:
        detail = f"{request.method} {request.url.path[:200]}: Not Found"
        raise ProblemError(404, "", "Not Found", detail)
    return found[1]


def _query(request: Request) -> str:
    query: str = request.scope["query_string"].decode("latin-1")
    if not _QUERY.fullmatch(query):
        detail = "The query string must have at most 4096 printable ASCII characters."
        raise ProblemError(422, "invalid-request", "The request is not valid", detail)
    return query
