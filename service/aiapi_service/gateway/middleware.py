"""ASGI middleware: HEAD, route metrics, request id, limits of callers, and unexpected errors.

Unexpected errors are handled here, so that their responses have an id and are measured too.
"""

from time import monotonic

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aiapi_runtime.telemetry import request_id
from aiapi_service.auth.rate_limit import RATE_LIMIT_HEADERS
from aiapi_service.auth.token_limit import TOKEN_ACCOUNT
from aiapi_service.gateway.problems import internal_error
from aiapi_service.gateway.upstreams.metering import ROUTE

_UNKNOWN = "none"


class RequestMiddleware:
    """Labels metrics by route pattern, so that paths do not create series."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = monotonic()
        status = 0
        is_head = scope["method"] == "HEAD"
        if is_head:
            # Routes declare GET only. The server still knows that it was HEAD.
            scope = {**scope, "method": "GET"}

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if not status:
                status = message.get("status", 0)
                headers = [*message["headers"], *scope.get(RATE_LIMIT_HEADERS, ())]
                if name := request_id():
                    headers.append((b"x-request-id", name.encode()))
                message["headers"] = headers
            elif is_head:
                message = {**message, "body": b""}
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as error:
            if status:
                raise
            await internal_error(scope["method"], scope["path"], error)(
                scope, receive, send_with_headers
            )
        finally:
            if (account := scope.get(TOKEN_ACCOUNT)) is not None:
                await account.settle()
            route = getattr(scope.get("route"), "path", _UNKNOWN)
            ROUTE.labels(route, f"{status // 100}xx" if status else "gone").observe(
                monotonic() - began
            )
