"""An app's own counters, gauges and histograms, summed over all workers in the pod's `/metrics`.

    STEPS = metrics.histogram("step_seconds", "Time of one step.", ["step"])
    STEPS.labels("embed").observe(0.012)

The numbers of a series are in plain Python and are copied into the worker's slot of the shared
memory with each heartbeat; the supervisor receives once what they mean. Everything is bounded: a
metric has at most `MAX_LABEL_SETS` label sets, and further ones are counted under the label values
`other`. Outside a worker (in tests, under another server) the numbers stay in the process.
"""

import logging
import re
from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import pairwise
from threading import Lock
from typing import Any, Generic, Literal, TypeVar

from aiapi_runtime.telemetry.layout import CUSTOM_NUMBERS

logger = logging.getLogger("aiapi.metrics")

MAX_LABEL_SETS = 100
OTHER = "other"
LATENCY_BOUNDS = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
)

_MAX_VALUE_LENGTH = 128
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_Define = Callable[[dict[str, Any]], bool]


class _Registry:
    """All of this process's series, and the memory they are copied to once it is a worker."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.metrics: dict[str, _Metric[Any]] = {}
        self._changed: list[_Series] = []
        self._cells: memoryview[float] | None = None
        self._define: _Define = lambda _: False
        self._used = 0
        self._full = False

    def changed(self, series: "_Series") -> None:
        """The caller holds the lock."""
        if not series.changed:
            series.changed = True
            self._changed.append(series)

    def attach(self, cells: "memoryview[float]", define: _Define) -> None:
        """This process is a worker from now on, so counts from before the fork are dropped.

        Gauges that were set keep their values, which hold in the worker too.
        """
        self.lock = Lock()
        self._cells, self._define, self._used, self._full = cells, define, 0, False
        self._changed = []
        for metric in self.metrics.values():
            for series in metric.series.values():
                was_set = series.changed or series.at >= 0
                series.at, series.changed = -1, False
                if not isinstance(series, GaugeSeries):
                    series.values = [0.0] * len(series.values)
                elif was_set:
                    self.changed(series)

    def write(self) -> None:
        """Copy changed series to the shared memory."""
        if not self._changed or self._cells is None:
            return
        with self.lock:
            changed, self._changed = self._changed, []
            for series in changed:
                if series.at < 0 and not self._place(series):
                    self._changed.append(series)
                    continue
                series.changed = False
                end = series.at + len(series.values)
                self._cells[series.at : end] = memoryview(array("d", series.values))

    def _place(self, series: "_Series") -> bool:
        if self._used + len(series.values) > CUSTOM_NUMBERS:
            if not self._full:
                self._full = True
                logger.warning("too many series: %s is not shown in /metrics", series.metric)
            return False
        if not self._define({**series.definition(), "at": self._used}):
            return False
        series.at = self._used
        self._used += len(series.values)
        return True


_registry = _Registry()
attach = _registry.attach
write = _registry.write


class _Series:
    """The numbers of one label set."""

    __slots__ = ("at", "changed", "label_values", "metric", "values")

    def __init__(self, metric: "_Metric[Any]", label_values: tuple[str, ...], size: int) -> None:
        self.metric = metric
        self.label_values = label_values
        self.values = [0.0] * size
        self.at = -1
        self.changed = False

    def definition(self) -> dict[str, Any]:
        return {**self.metric.shape, "values": self.label_values}


class CounterSeries(_Series):
    """A value that only increases."""

    __slots__ = ()

    def inc(self, amount: float = 1.0) -> None:
        if amount < 0:
            raise ValueError(f"{self.metric} is a counter and cannot decrease by {-amount}")
        with _registry.lock:
            self.values[0] += amount
            _registry.changed(self)


class GaugeSeries(_Series):
    """A current value; it is dropped with its worker."""

    __slots__ = ()

    def set(self, value: float) -> None:
        with _registry.lock:
            self.values[0] = value
            _registry.changed(self)

    def inc(self, amount: float = 1.0) -> None:
        with _registry.lock:
            self.values[0] += amount
            _registry.changed(self)

    def dec(self, amount: float = 1.0) -> None:
        self.inc(-amount)


class HistogramSeries(_Series):
    """Counts per bucket, followed by the sum."""

    __slots__ = ()

    def observe(self, value: float) -> None:
        bucket = bisect_left(self.metric.bounds, value)
        with _registry.lock:
            self.values[bucket] += 1
            self.values[-1] += value
            _registry.changed(self)


_S = TypeVar("_S", bound=_Series)


class _Metric(Generic[_S]):
    """One metric. `labels(...)` returns the series to count in, also without labels: `labels()`."""

    def __init__(self, make: type[_S], shape: dict[str, Any]) -> None:
        self._make = make
        self.shape = shape
        self.bounds: tuple[float, ...] = shape["bounds"]
        self._width = len(shape["labels"])
        self._size = len(self.bounds) + 2 if self.bounds else 1
        self.series: dict[tuple[str, ...], _S] = {}

    def __str__(self) -> str:
        return str(self.shape["name"])

    def labels(self, *values: str) -> _S:
        found = self.series.get(values)
        return found if found is not None else self._new(values)

    def _new(self, values: tuple[str, ...]) -> _S:
        if len(values) != self._width:
            raise ValueError(f"{self} has the labels {self.shape['labels']}, not {values}")
        with _registry.lock:
            key = tuple(str(value)[:_MAX_VALUE_LENGTH] for value in values)
            if key not in self.series and len(self.series) >= MAX_LABEL_SETS:
                key = (OTHER,) * self._width
            if key not in self.series:
                self.series[key] = self._make(self, key, self._size)
            return self.series[key]


Counter = _Metric[CounterSeries]
Gauge = _Metric[GaugeSeries]
Histogram = _Metric[HistogramSeries]


def counter(name: str, description: str, labels: Sequence[str] = ()) -> Counter:
    """A value that only increases; shown with the suffix `_total`."""
    return _metric(CounterSeries, "counter", name.removesuffix("_total"), description, labels)


def gauge(
    name: str, description: str, labels: Sequence[str] = (), *, merge: Literal["sum", "max"] = "sum"
) -> Gauge:
    """A current value; the pod's is the sum or the maximum over its workers."""
    return _metric(GaugeSeries, "gauge", name, description, labels, merge=merge)


def histogram(
    name: str,
    description: str,
    labels: Sequence[str] = (),
    bounds: Sequence[float] = LATENCY_BOUNDS,
) -> Histogram:
    """The distribution of a value; `bounds` are the upper bounds of the buckets, ascending."""
    bounds = tuple(map(float, bounds))
    ascending = all(low < high for low, high in pairwise(bounds))
    if not bounds or not ascending:
        raise ValueError(f"the bounds of {name} must ascend: {bounds}")
    return _metric(HistogramSeries, "histogram", name, description, labels, bounds=bounds)


def _metric(  # noqa: PLR0913 - the parts of a metric
    make: type[_S],
    kind: str,
    name: str,
    description: str,
    labels: Sequence[str],
    *,
    bounds: tuple[float, ...] = (),
    merge: str = "sum",
) -> "_Metric[_S]":
    for word in (name, *labels):
        if not _NAME.fullmatch(word) or word in ("le", "quantile"):
            raise ValueError(f"{word!r} is not a valid name of a metric or label")
    shape = {
        "kind": kind,
        "name": name,
        "help": description,
        "labels": tuple(labels),
        "bounds": bounds,
        "merge": merge,
    }
    with _registry.lock:
        known = _registry.metrics.setdefault(name, _Metric(make, shape))
    if known.shape != shape:
        raise ValueError(
            f"the metric {name} already exists with another type, help, labels or bounds"
        )
    return known
