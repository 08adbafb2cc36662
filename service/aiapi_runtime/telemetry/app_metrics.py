"""What the supervisor knows of the workers' own metrics, and their sums over the pod.

A worker says once what lies where in its slot. Counters and histograms of a worker that is gone
stay in the totals, gauges go with it. The number of series is bounded here too, since each new
worker may bring label values of its own: what is beyond the bound is added under `other`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from aiapi_runtime.telemetry.metrics import MOST_LABEL_SETS, OTHER
from aiapi_runtime.telemetry.shared_memory import WorkerMemory

_Values = tuple[str, ...]


@dataclass
class _Known:
    """One metric, and the totals of those who have left."""

    kind: str
    help: str
    labels: tuple[str, ...]
    bounds: tuple[float, ...]
    merge: str
    retired: dict[_Values, list[float]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return len(self.bounds) + 2 if self.bounds else 1


@dataclass(frozen=True)
class _Placed:
    """Where a worker keeps one series."""

    name: str
    values: _Values
    at: int


class AppMetrics:
    """Used in the supervisor's one thread, as the totals is."""

    def __init__(self, memory: WorkerMemory) -> None:
        self._memory = memory
        self._known: dict[str, _Known] = {}
        self._placed: dict[int, list[_Placed]] = {}

    def define(self, slot: int, said: dict[str, Any]) -> None:
        shape = _Known(
            said["kind"], said["help"], tuple(said["labels"]), tuple(said["bounds"]), said["merge"]
        )
        known = self._known.setdefault(said["name"], shape)
        if (known.kind, known.labels, known.bounds) != (shape.kind, shape.labels, shape.bounds):
            # The app was changed while it serves; the next start of the pod shows the new shape.
            return
        values = tuple(said["values"])
        if values not in known.retired and len(known.retired) > MOST_LABEL_SETS:
            values = (OTHER,) * len(known.labels)
        known.retired.setdefault(values, [0.0] * known.size)
        self._placed.setdefault(slot, []).append(_Placed(said["name"], values, said["at"]))

    def fold(self, slot: int) -> None:
        """The worker's process has ended: keep what it counted, and free its cells."""
        cells = self._memory.slots[slot].custom
        for one in self._placed.pop(slot, []):
            known = self._known[one.name]
            end = one.at + known.size
            if known.kind != "gauge":
                _add(known.retired[one.values], cells[one.at : end])
            cells[one.at : end] = memoryview(bytes(8 * known.size)).cast("d")

    def families(self) -> Iterable[Metric]:
        now = {
            name: {values: list(row) for values, row in known.retired.items()}
            for name, known in self._known.items()
        }
        greatest: set[tuple[str, _Values]] = set()
        for slot, placed in self._placed.items():
            for one in placed:
                known = self._known[one.name]
                row = self._memory.slots[slot].custom[one.at : one.at + known.size]
                total = now[one.name][one.values]
                if known.merge == "max":
                    key = one.name, one.values
                    total[0] = max(total[0], row[0]) if key in greatest else row[0]
                    greatest.add(key)
                else:
                    _add(total, row)
        for name, known in self._known.items():
            yield _family(name, known, now[name])


def _add(total: list[float], row: Sequence[float]) -> None:
    for index, value in enumerate(row):
        total[index] += value


def _family(name: str, known: _Known, rows: dict[_Values, list[float]]) -> Metric:
    match known.kind:
        case "counter":
            counter = CounterMetricFamily(name, known.help, labels=known.labels)
            for values, row in rows.items():
                counter.add_metric(values, row[0])
            return counter
        case "gauge":
            gauge = GaugeMetricFamily(name, known.help, labels=known.labels)
            for values, row in rows.items():
                gauge.add_metric(values, row[0])
            return gauge
        case _:
            histogram = HistogramMetricFamily(name, known.help, labels=known.labels)
            edges = [*map(str, known.bounds), "+Inf"]
            for values, row in rows.items():
                counts = list(accumulate(row[:-1]))
                histogram.add_metric(values, list(zip(edges, counts, strict=True)), row[-1])
            return histogram
