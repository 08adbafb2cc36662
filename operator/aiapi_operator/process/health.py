"""The operator's own HTTP port: is it alive, is it watching, and its metrics.

Alive means that every AIApi was looked at lately. A process that is there but whose watches or
ticks stand still answers 503, and the kubelet starts it anew.
"""

from collections.abc import Callable

from aiohttp import web

_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class HealthServer:
    """Serves /healthz, /readyz and /metrics."""

    def __init__(
        self,
        *,
        overdue: Callable[[], list[str]],
        watching: Callable[[], bool],
        metrics: Callable[[], bytes],
    ) -> None:
        self._overdue = overdue
        self._watching = watching
        self._metrics = metrics
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._serve_metrics)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port: 0 asks for any free one."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Close the port."""
        await self._runner.cleanup()

    async def _healthz(self, _request: web.Request) -> web.Response:
        late = self._overdue()
        if late:
            return web.Response(status=503, text=f"no tick lately: {', '.join(late[:10])}\n")
        return web.Response(text="ok\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        if not self._watching():
            return web.Response(status=503, text="not watching yet\n")
        return web.Response(text="ok\n")

    async def _serve_metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._metrics(), headers={"Content-Type": _METRICS_TYPE})
