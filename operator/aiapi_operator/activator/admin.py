"""The activator's admin port: liveness, readiness, metrics, and the counts that the operator reads.

``/state`` has counts only and no login; a NetworkPolicy restricts who can connect.
"""

from collections.abc import Callable
from typing import Any

from aiohttp import web

from aiapi_operator.activator.listeners import Listeners
from aiapi_operator.activator.metrics import ActivatorMetrics
from aiapi_operator.process.listener import bind

_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def state(pod_name: str, listeners: Listeners, only: str = "") -> dict[str, Any]:
    """The counts of all AIApis, or of one, since the start of this activator."""
    return {
        "pod": pod_name,
        "aiapis": {
            "/".join(gate.fleet.key): {
                "arrivals": gate.arrivals,
                "held": len(gate.hold),
                "in_flight": gate.in_flight,
                "connections": gate.connections,
                "idle_seconds": round(gate.idle_seconds, 3),
            }
            for gate in listeners.gates()
            if only in ("", "/".join(gate.fleet.key))
        },
    }


class AdminServer:
    """Serves /healthz, /readyz, /metrics and /state."""

    def __init__(
        self,
        *,
        pod_name: str,
        listeners: Listeners,
        metrics: ActivatorMetrics,
        waiting_for: Callable[[], str],
    ) -> None:
        self._pod_name = pod_name
        self._listeners = listeners
        self._metrics = metrics
        self._waiting_for = waiting_for
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._serve_metrics)
        app.router.add_get("/state", self._state)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)

    async def start(self, host: str, port: int) -> int:
        """Listen and return the port; port 0 selects a free one."""
        listener = bind(host, port, "--admin-port")
        await self._runner.setup()
        await web.SockSite(self._runner, listener).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Close the port."""
        await self._runner.cleanup()

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        if problem := self._waiting_for():
            return web.Response(status=503, text=f"{problem}\n")
        return web.Response(text="ok\n")

    async def _serve_metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._metrics.text(), headers={"Content-Type": _METRICS_TYPE})

    async def _state(self, request: web.Request) -> web.Response:
        only = request.query.get("aiapi", "")
        return web.json_response(state(self._pod_name, self._listeners, only))
