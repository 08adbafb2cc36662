"""prometheus_client's merged metrics as the runtime's own metric families."""

import re
from collections.abc import Iterable
from typing import Any

from aiapi_runtime.telemetry.exposition import MetricFamily, Sample

_INVALID = re.compile(r"[^a-zA-Z0-9_:]", re.ASCII)


def families(metrics: Iterable[Any]) -> list[MetricFamily]:
    return [_family(metric) for metric in metrics]


def _family(metric: Any) -> MetricFamily:
    samples = [
        Sample(sample.name.removeprefix(metric.name), _labels(sample.labels), sample.value)
        for sample in metric.samples
    ]
    return MetricFamily(metric.type, _escape(metric.name), metric.documentation, samples)


def _labels(labels: dict[str, str]) -> dict[str, str]:
    return {_escape(name): value for name, value in labels.items()}


def _escape(name: str) -> str:
    """As Prometheus asks for with `escaping=underscores`: newer clients allow any character."""
    return _INVALID.sub("_", name)
