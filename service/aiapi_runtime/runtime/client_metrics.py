"""When the supervisor, the fork server and a worker do what `telemetry.multiprocess` offers.

Whatever goes wrong there is logged: metrics are no reason not to serve.
"""

import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path

from aiapi_runtime.runtime.settings import RuntimeSettings
from aiapi_runtime.telemetry.multiprocess import folder, import_gauges, registry
from aiapi_runtime.telemetry.multiprocess.function_gauges import FunctionGauges
from aiapi_runtime.telemetry.multiprocess.pod_metrics import PodMetrics

logger = logging.getLogger("aiapi.metrics")


def of_pod(settings: RuntimeSettings, admin: socket.socket) -> PodMetrics:
    if settings.prometheus_multiproc == "off":
        return PodMetrics(None)
    # Only one process can listen on this address, so no other supervisor uses the folder.
    host, port = admin.getsockname()[:2]
    return PodMetrics(folder.prepare(os.environ, f"aiapi-metrics-{host}-{port}"))


def app_is_imported(settings: RuntimeSettings) -> None:
    """In the fork server."""
    _try(import_gauges.set_aside, settings)


def worker_is_forked(settings: RuntimeSettings) -> None:
    """In a worker that was forked from an imported app, before it runs any of the app's code."""
    _try(import_gauges.take_over, settings)


def worker_has_app(settings: RuntimeSettings) -> None:
    """In each worker, before the app starts up."""
    _try(registry.show_all_workers, settings)


def function_gauges(settings: RuntimeSettings) -> FunctionGauges:
    """For a worker while it runs."""
    return FunctionGauges(registry.default() if _folder(settings) else None)


def _try(step: Callable[[Path], None], settings: RuntimeSettings) -> None:
    path = _folder(settings)
    if path is None:
        return
    try:
        step(path)
    except Exception as error:  # noqa: BLE001 - any release of prometheus_client may be installed
        logger.warning("the app's prometheus_client metrics are incomplete: %r", error)


def _folder(settings: RuntimeSettings) -> Path | None:
    if settings.prometheus_multiproc == "off":
        return None
    return folder.of_environment(os.environ)
