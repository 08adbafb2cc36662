"""The console's HTTP server: read-only pages and static files.

It has no login. It listens on loopback by default, so that access control is left to the machine,
to ``kubectl port-forward``, or to a proxy that authenticates. Host headers that are not allowed
are rejected: otherwise any web page could read the console through a browser on the same machine
(DNS rebinding).
"""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from aiohttp import web

from aiapi_operator.console.history import TIME_RANGES
from aiapi_operator.console.pages import Pages
from aiapi_operator.process.listener import bind

MAX_CONNECTIONS = 64
"""Further connections are closed immediately."""
MAX_CONCURRENT = 8
"""Requests served at the same time. Further ones get status 503 with Retry-After."""
MAX_QUERY = 100
_STATIC = Path(__file__).with_name("static")
_FILES = {
    "console.css": "text/css; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ConsoleServer:
    """Serves the console."""

    def __init__(self, pages: Pages, *, allowed_hosts: Iterable[str] = ()) -> None:
        self._pages = pages
        self._hosts = _LOOPBACK | {host.lower() for host in allowed_hosts}
        self._files = {name: (_STATIC / name).read_bytes() for name in _FILES}
        self._active = 0
        app = web.Application(middlewares=[self._guard], client_max_size=1)
        app.router.add_get("/", self._overview)
        app.router.add_get("/aiapis/{namespace:[^/]+}/{name:[^/]+}", self._detail)
        app.router.add_get("/static/{name}", self._file)
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=1.0, keepalive_timeout=15.0
        )
        self._listener: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port. Port 0 picks a free one."""
        listener = bind(host, port, "--console-port")
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(
            self._protocol, sock=listener, backlog=MAX_CONNECTIONS
        )
        return int(self._listener.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening and close all connections."""
        if self._listener is not None:
            self._listener.close()
        await self._runner.cleanup()

    def _protocol(self) -> asyncio.Protocol:
        server = self._runner.server
        if server is None or len(server.connections) >= MAX_CONNECTIONS:
            return _Closed()
        return server()

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        response = await self._guarded(request, handler)
        response.headers.update(HEADERS)
        return response

    async def _guarded(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        if _host_name(request.headers.get("Host", "")) not in self._hosts:
            return web.Response(status=421, text="Host not allowed.\n")
        if self._active >= MAX_CONCURRENT:
            return web.Response(status=503, text="Busy.\n", headers={"Retry-After": "1"})
        self._active += 1
        try:
            return await handler(request)
        except web.HTTPNotFound:
            return self._not_found("This page does not exist.")
        except web.HTTPException as error:
            return web.Response(status=error.status, text=f"{error.reason}\n")
        finally:
            self._active -= 1

    async def _overview(self, request: web.Request) -> web.Response:
        query = request.query
        page = query.get("page", "1")
        text = self._pages.overview(
            query=query.get("q", "")[:MAX_QUERY].strip(),
            sort=query.get("sort", ""),
            page=int(page) if page.isdecimal() and len(page) < 7 else 1,
        )
        return _html(text)

    async def _detail(self, request: web.Request) -> web.Response:
        key = (request.match_info["namespace"], request.match_info["name"])
        text = self._pages.detail(key, time_range=_time_range(request.query.get("span", "0")))
        if text is None:
            return self._not_found("This AIApi does not exist. It may have been deleted.")
        return _html(text)

    async def _file(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        kind = _FILES.get(name)
        if kind is None:
            raise web.HTTPNotFound
        return web.Response(body=self._files[name], headers={"Content-Type": kind})

    def _not_found(self, message: str) -> web.Response:
        return _html(self._pages.not_found(message), status=404)


def _html(text: str, *, status: int = 200) -> web.Response:
    return web.Response(status=status, text=text, content_type="text/html")


def _time_range(text: str) -> int:
    """The index of a time range; the first one if ``text`` names none."""
    return int(text) if text in {str(number) for number in range(len(TIME_RANGES))} else 0


def _host_name(header: str) -> str:
    """A Host header without the port."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.rpartition(":")[0].lower() if ":" in header else header.lower()


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine (or pod) only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Closed(asyncio.Protocol):
    """Closes a connection above the limit."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()
