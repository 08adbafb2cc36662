"""The operator's HTTP port: liveness, readiness and metrics.

The operator is live while no AIApi is overdue. A process whose watches or ticks are blocked
answers 503, and the kubelet restarts it. It is ready once it watches; until then /readyz gives the
reason.

The server runs on a thread of its own, so that long ticks do not delay a probe. Metrics come from
the ticks' loop, and wait for it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from aiapi_operator.process.listener import bind

_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_METRICS_DEADLINE = 10.0
_COMPRESSED_INLINE = 16_384
"""Bytes up to which a body is compressed on the event loop, and not in a thread."""


class HealthServer:
    """Serves /healthz, /readyz and /metrics."""

    def __init__(
        self,
        *,
        overdue: Callable[[], list[str]],
        waiting_for: Callable[[], str],
        metrics: Callable[[], Awaitable[bytes]],
    ) -> None:
        self._overdue = overdue
        self._waiting_for = waiting_for
        self._metrics = metrics
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._serve_metrics)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)

    @asynccontextmanager
    async def serving(self, host: str, port: int) -> AsyncIterator[int]:
        """Listen for the block, and yield the port; port 0 selects a free one."""
        listener = bind(host, port, "--port")
        await self._runner.setup()
        try:
            await web.SockSite(self._runner, listener).start()
            yield int(self._runner.addresses[0][1])
        finally:
            await self._runner.cleanup()

    async def _healthz(self, _request: web.Request) -> web.Response:
        late = self._overdue()
        if late:
            return web.Response(status=503, text=f"overdue: {', '.join(late[:10])}\n")
        return web.Response(text="ok\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        if problem := self._waiting_for():
            return web.Response(status=503, text=f"not watching yet: {problem}\n")
        return web.Response(text="ok\n")

    async def _serve_metrics(self, request: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(_METRICS_DEADLINE):
                text = await self._metrics()
        except TimeoutError:
            return web.Response(status=503, text="the operator's event loop is blocked\n")
        response = web.Response(
            body=text,
            headers={"Content-Type": _METRICS_TYPE},
            zlib_executor_size=_COMPRESSED_INLINE,
        )
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            response.enable_compression(web.ContentCoding.gzip)
        return response
