"""A route class for hot paths: declared like any route, called without FastAPI's injection.

FastAPI resolves dependencies, bodies and exit stacks for each request, which costs more than all
the work that the gateway does for a chat. The endpoint of a `DirectRoute` takes the request and the
principal only. The `require(...)` in its signature authenticates, and appears in the OpenAPI
document as usual.
"""

from collections.abc import Awaitable, Callable
from typing import Any, get_type_hints

from fastapi import Request, Response, params
from fastapi.routing import APIRoute
from fastapi.security import SecurityScopes
from starlette.types import ASGIApp, Receive, Scope, Send


class DirectRoute(APIRoute):
    """Use with `APIRouter(route_class=DirectRoute)`."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self.app = _direct(endpoint)


def _direct(endpoint: Callable[[Request, Any], Awaitable[Response]]) -> ASGIApp:
    security = _security(endpoint)
    authenticate: Any = security.dependency
    scopes = SecurityScopes(list(security.scopes or ()))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        principal = await authenticate(request, scopes)
        response = await endpoint(request, principal)
        await response(scope, receive, send)

    return app


def _security(endpoint: Callable[..., Any]) -> params.Security:
    """The `require(...)` of the endpoint; TypeError unless there is exactly one."""
    found = [
        extra
        for hint in get_type_hints(endpoint, include_extras=True).values()
        for extra in getattr(hint, "__metadata__", ())
        if isinstance(extra, params.Security)
    ]
    if len(found) != 1:
        raise TypeError(
            f"{endpoint.__name__} must declare require(...) exactly once, found {len(found)}"
        )
    return found[0]
