"""When the supervisor, the fork server and a worker do what `telemetry.multiprocess` offers."""

import os
import socket
from pathlib import Path

from aiapi_runtime.runtime.settings import RuntimeSettings
from aiapi_runtime.telemetry.multiprocess import folder, import_gauges, registry
from aiapi_runtime.telemetry.multiprocess.pod_metrics import PodMetrics


def of_pod(settings: RuntimeSettings, admin: socket.socket) -> PodMetrics:
    if settings.prometheus_multiproc == "off":
        return PodMetrics(None)
    # Only one process can listen on this address, so no other supervisor uses the folder.
    host, port = admin.getsockname()[:2]
    return PodMetrics(folder.prepare(os.environ, f"aiapi-metrics-{host}-{port}"))


def app_is_imported(settings: RuntimeSettings) -> None:
    """In the fork server."""
    path = _folder(settings)
    if path is not None:
        import_gauges.set_aside(path)


def worker_is_forked(settings: RuntimeSettings) -> None:
    """In a worker that was forked from an imported app, before it runs any of the app's code."""
    path = _folder(settings)
    if path is not None:
        import_gauges.take_over(path)


def worker_has_app(settings: RuntimeSettings) -> None:
    """In each worker, before the app starts up."""
    path = _folder(settings)
    if path is not None:
        registry.show_all_workers(path)


def _folder(settings: RuntimeSettings) -> Path | None:
    if settings.prometheus_multiproc == "off":
        return None
    return folder.of_environment(os.environ)
