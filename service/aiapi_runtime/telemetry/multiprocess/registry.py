"""The app's own `/metrics`: all workers instead of the one that answers.

Some ways to serve metrics know multiprocess mode: they use MultiProcessCollector. The others
(`generate_latest`, `make_asgi_app`) read the default registry, which knows only its own process.
"""

import importlib
import sys
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import Any

from aiapi_runtime.telemetry.multiprocess import locks

_Collect = Callable[..., Iterable[Any]]


def default() -> Any:
    """The app's default registry; None where it has not imported prometheus_client."""
    client: Any = sys.modules.get("prometheus_client")
    value_class = getattr(getattr(client, "values", None), "ValueClass", None)
    # Without files when a library has imported it before the variable was set.
    return client.REGISTRY if getattr(value_class, "_multiprocess", False) else None


def show_all_workers(folder: Path) -> None:
    """In a worker, after the import of the app."""
    registry = default()
    if registry is None:
        return
    multiprocess: Any = importlib.import_module("prometheus_client.multiprocess")
    collector = multiprocess.MultiProcessCollector
    collector.collect = _locked(collector.collect, folder)
    registry.collect = _merged(registry.collect, lambda: collector(None, str(folder)).collect())


def _locked(collect: _Collect, folder: Path) -> _Collect:
    @wraps(collect)
    def locked(*args: Any) -> Iterable[Any]:
        with locks.reading(folder):
            return list(collect(*args))

    return locked


def _merged(collect: _Collect, collect_all: _Collect) -> _Collect:
    """The registry's metrics; those that are in files as the sum over all workers."""

    @wraps(collect)
    def merged() -> Iterable[Any]:
        of_all = {metric.name: metric for metric in collect_all()}
        return [of_all.get(metric.name, metric) for metric in collect()]

    return merged
