"""The supervisor's view of the app's own metrics: their sums over all workers of the pod.

A worker reports once what each part of its slot holds. Counters and histograms of a departed worker
stay in the totals; its gauges are dropped. The number of series is bounded here too, since each new
worker may bring new label values: series beyond the bound are added to the label values `other`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import inf
from typing import Any, Literal

from aiapi_runtime.telemetry.exposition import Bucket, MetricFamily
from aiapi_runtime.telemetry.metrics import MAX_LABEL_SETS, OTHER
from aiapi_runtime.telemetry.shared_memory import SlotMemory

_Values = tuple[str, ...]


@dataclass
class _Metric:
    """One metric, and the totals of the departed workers by label values."""

    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...]
    bounds: tuple[float, ...]
    merge: str
    retired: dict[_Values, list[float]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return len(self.bounds) + 2 if self.bounds else 1


@dataclass(frozen=True)
class _Placement:
    """Where a worker keeps one series."""

    name: str
    values: _Values
    at: int


class AppMetrics:
    """Used only in the supervisor's thread, like `PodTotals`."""

    def __init__(self, memory: SlotMemory) -> None:
        self._memory = memory
        self._metrics: dict[str, _Metric] = {}
        self._placements: dict[int, list[_Placement]] = {}

    def define(self, slot: int, message: dict[str, Any]) -> None:
        """A worker has placed a series in its slot."""
        shape = _Metric(
            message["kind"],
            message["help"],
            tuple(message["labels"]),
            tuple(message["bounds"]),
            message["merge"],
        )
        metric = self._metrics.setdefault(message["name"], shape)
        if (metric.kind, metric.labels, metric.bounds) != (shape.kind, shape.labels, shape.bounds):
            # The app's code changed while the pod runs; the next pod shows the new shape.
            return
        values = tuple(message["values"])
        if values not in metric.retired and len(metric.retired) > MAX_LABEL_SETS:
            values = (OTHER,) * len(metric.labels)
        metric.retired.setdefault(values, [0.0] * metric.size)
        placement = _Placement(message["name"], values, message["at"])
        self._placements.setdefault(slot, []).append(placement)

    def fold(self, slot: int) -> None:
        """Keep the counts of a worker whose process has ended, and clear its cells."""
        cells = self._memory.slots[slot].custom
        for one in self._placements.pop(slot, []):
            metric = self._metrics[one.name]
            end = one.at + metric.size
            if metric.kind != "gauge":
                _add(metric.retired[one.values], cells[one.at : end])
            cells[one.at : end] = memoryview(bytes(8 * metric.size)).cast("d")

    def families(self) -> Iterable[MetricFamily]:
        totals = {
            name: {values: list(row) for values, row in metric.retired.items()}
            for name, metric in self._metrics.items()
        }
        merged: set[tuple[str, _Values]] = set()
        for slot, placements in self._placements.items():
            for one in placements:
                metric = self._metrics[one.name]
                row = self._memory.slots[slot].custom[one.at : one.at + metric.size]
                total = totals[one.name][one.values]
                if metric.merge == "max":
                    key = one.name, one.values
                    total[0] = max(total[0], row[0]) if key in merged else row[0]
                    merged.add(key)
                else:
                    _add(total, row)
        for name, metric in self._metrics.items():
            yield _family(name, metric, totals[name])


def _add(total: list[float], row: Sequence[float]) -> None:
    for index, value in enumerate(row):
        total[index] += value


def _family(name: str, metric: _Metric, rows: dict[_Values, list[float]]) -> MetricFamily:
    family = MetricFamily(metric.kind, name, metric.help)
    for values, row in rows.items():
        labels = dict(zip(metric.labels, values, strict=True))
        if metric.kind == "histogram":
            counts = accumulate(row[:-1])
            buckets = [Bucket(*edge) for edge in zip((*metric.bounds, inf), counts, strict=True)]
            family.add_histogram(buckets, row[-1], labels)
        else:
            family.add(row[0], labels)
    return family
