"""Metrics of one name in one text: Prometheus would reject all of the pod's metrics.

The first one of a name is shown: the runtime's own, then the app's.
"""

import logging
from collections.abc import Iterable, Sequence

from aiapi_runtime.telemetry.exposition import MetricFamily

logger = logging.getLogger("aiapi.metrics")

_SUFFIXES = {
    "counter": ("_total",),
    "gauge": (),
    "histogram": ("_bucket", "_count", "_sum"),
    "summary": ("_count", "_sum"),
}
_reported: set[str] = set()


def without_clashes(
    first: Sequence[MetricFamily], others: Iterable[MetricFamily]
) -> list[MetricFamily]:
    """The others whose names are free. Each clash is logged once."""
    taken = {name for family in first for name in _names(family)}
    shown = []
    for family in others:
        if taken.isdisjoint(_names(family)):
            shown.append(family)
            taken |= _names(family)
        else:
            _report(family.name)
    return shown


def _names(family: MetricFamily) -> set[str]:
    """Of the family and its series: a gauge `x_count` clashes with a histogram `x`."""
    return {family.name, *(family.name + suffix for suffix in _SUFFIXES[family.kind])}


def _report(name: str) -> None:
    if name not in _reported:
        _reported.add(name)
        logger.warning(
            "the app's metric %s is not in the pod's /metrics: another metric has its name; "
            "rename it in the app",
            name,
        )
