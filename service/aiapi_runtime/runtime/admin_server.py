"""The server of the admin port.

It runs in the supervisor's process and loop, where no user code runs, so that a saturated or
blocked worker cannot hide it.
"""

import asyncio
import contextlib
import socket
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from aiapi_runtime.runtime.admin_routes import Token
from aiapi_runtime.runtime.admin_tls import AdminTls
from aiapi_runtime.runtime.listener import url
from aiapi_runtime.telemetry.requests import App

_HEAD_SECONDS = 10.0
_MAX_CONNECTIONS = 256


class _BoundedProtocol(H11Protocol):
    """Bounds the time for the head of a request and the number of connections.

    Uvicorn waits for a first request without a limit, so enough slow connections would fill the
    port. Here the head must be complete in time, counted from the start of the connection and then
    from the first byte after each response.
    """

    _deadline: asyncio.TimerHandle | None = None
    _made_at = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in Uvicorn
        super().connection_made(transport)
        self._made_at = self.loop.time()
        self._evict_if_full()
        self._start_head_timer()

    def _evict_if_full(self) -> None:
        """Uvicorn's own limit answers 503, and a kubelet restarts a pod whose probe gets that."""
        others = [
            one
            for one in self.connections
            if isinstance(one, _BoundedProtocol) and one is not self and one._is_open()  # noqa: SLF001 - same class
        ]
        if len(others) >= _MAX_CONNECTIONS:
            min(others, key=_BoundedProtocol._keep_rank).transport.abort()

    def _is_open(self) -> bool:
        return not self.transport.is_closing()

    def _keep_rank(self) -> tuple[bool, float]:
        """Connections with a request in progress rank highest, then the youngest."""
        return self.cycle is not None and not self.cycle.response_complete, self._made_at

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._start_head_timer()
        else:
            self._stop_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        super().send_400_response(msg)
        if self.cycle is not None:
            # The body was invalid and this was the response, so the app's own is dropped.
            self.cycle.disconnected = True

    def _start_head_timer(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(_HEAD_SECONDS, self._give_up)

    def _give_up(self) -> None:
        """Closing a TLS connection waits for the client, which is slow or gone."""
        if self.transport.get_extra_info("sslcontext") is None:
            self.transport.close()
        else:
            self.transport.abort()

    def _stop_head_timer(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


@dataclass(frozen=True)
class AdminPort:
    """Where the admin port listens, and how it is protected."""

    socket: socket.socket
    token: Token
    tls: AdminTls | None

    @property
    def url(self) -> str:
        return url(self.socket, "http" if self.tls is None else "https")


class AdminServer(uvicorn.Server):
    """Uvicorn without its signal handlers, which belong to the supervisor."""

    def __init__(self, app: App, port: AdminPort) -> None:
        self._stopped = asyncio.Event()
        self._port = port
        # Uvicorn types an app by the message; ours is any ASGI app.
        asgi_app: Any = app
        # h11 bounds the size of a request's head, which httptools does not.
        super().__init__(
            uvicorn.Config(
                asgi_app,
                http=_BoundedProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=30,
                h11_max_incomplete_event_size=16384,
                timeout_graceful_shutdown=1,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def run_until_stopped(self) -> None:
        await self.serve(sockets=[self._port.socket])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As Uvicorn's, with a bound for the TLS handshake. Uvicorn would wait for a minute."""

        def protocol() -> _BoundedProtocol:
            return _BoundedProtocol(
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state
            )

        options: dict[str, Any] = {"backlog": self.config.backlog}
        if self._port.tls is not None:
            options |= {"ssl": self._port.tls.context, "ssl_handshake_timeout": _HEAD_SECONDS}
        loop = asyncio.get_running_loop()
        self.servers = [
            await loop.create_server(protocol, sock=sock, **options) for sock in sockets or ()
        ]
        self.started = True

    async def main_loop(self) -> None:
        """Keep date and certificate fresh. Uvicorn's own loop wakes ten times a second."""
        while not self._stopped.is_set():
            await self.on_tick(0)
            if self._port.tls is not None:
                self._port.tls.refresh()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), 1.0)

    def stop(self) -> None:
        self.should_exit = True
        self._stopped.set()
