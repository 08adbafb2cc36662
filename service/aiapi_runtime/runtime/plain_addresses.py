"""IPv4 addresses as such.

A socket that listens on IPv6 and IPv4 reports the client 10.1.2.3 as ::ffff:10.1.2.3. Apps, lists
of trusted proxies and limits per client expect the former.
"""

from typing import Any

from aiapi_runtime.limits.addresses import plain_address
from aiapi_runtime.telemetry.requests import App


def with_plain_addresses(app: App) -> App:
    """The app, which gets plain addresses of WebSockets. Requests have them: see the protocol."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            scope = {key: _plain(key, value) for key, value in scope.items()}
        await app(scope, receive, send)

    return serve


def _plain(key: str, value: Any) -> Any:
    return plain_address(value) if key in ("client", "server") else value
