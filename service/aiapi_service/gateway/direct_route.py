"""A route for what is called most: declared as any other, called without FastAPI's injection.

FastAPI works out dependencies, bodies and exit stacks anew for each request, which costs more than
all that the gateway itself does to a chat. Such a route's endpoint takes the request, which it
reads itself, and the principal: the same `require(...)` that the documentation shows lets them in.
"""

from collections.abc import Awaitable, Callable
from typing import Any, get_type_hints

from fastapi import Request, Response, params
from fastapi.routing import APIRoute
from fastapi.security import SecurityScopes
from starlette.types import ASGIApp, Receive, Scope, Send


class DirectRoute(APIRoute):
    """For `APIRouter(route_class=DirectRoute)`."""

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
    """The one that the endpoint declares; without one there is no route."""
    found = [
        extra
        for hint in get_type_hints(endpoint, include_extras=True).values()
        for extra in getattr(hint, "__metadata__", ())
        if isinstance(extra, params.Security)
    ]
    if len(found) != 1:
        raise TypeError(
            f"{endpoint.__name__} declares {len(found)} times who may call it, not once"
        )
    return found[0]
