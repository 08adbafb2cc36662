"""Gauges whose value is a function's (`set_function`).

prometheus_client calls it when it reads its own process, but not when it reads files, where such a
gauge is 0 for ever. So each worker writes the values to its file every few seconds.
"""

import asyncio
import logging
import sys
from collections.abc import Iterable
from math import nan
from typing import Any

logger = logging.getLogger("aiapi.metrics")

_INTERVAL_SECONDS = 5.0


class FunctionGauges:
    """All gauges of the default registry that have a function, also those that get one later."""

    def __init__(self, registry: Any) -> None:
        self._registry = registry
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Write now, and then every few seconds."""
        if self._registry is not None:
            try:
                write(self._registry)
            except AttributeError as error:
                # A release with other internals: no reason to fail a worker.
                logger.warning("gauges with a function are shown as 0: %s", error)
                return
            self._timer = asyncio.get_running_loop().call_later(_INTERVAL_SECONDS, self.start)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def write(registry: Any) -> None:
    for gauge in _with_function(registry):
        gauge.set(_value(gauge))


def _with_function(registry: Any) -> Iterable[Any]:
    kind: type = sys.modules["prometheus_client"].Gauge
    for metric in list(registry._collector_to_names):  # noqa: SLF001 - the only list of them
        if isinstance(metric, kind):
            children = getattr(metric, "_metrics", {}).values()
            yield from (one for one in (metric, *children) if "_child_samples" in vars(one))


def _value(gauge: Any) -> float:
    """Not a number when the function fails: 0 would be a value."""
    try:
        (sample,) = gauge._child_samples()  # noqa: SLF001 - what set_function has replaced
        return float(sample.value)
    except Exception:  # noqa: BLE001 - the app's function; prometheus_client raises it on a scrape
        return nan
