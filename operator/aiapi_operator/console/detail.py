"""The page of one AIApi: its tiles, charts and events. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from aiapi_operator.api.summary import AIApiSummary, from_manifest
from aiapi_operator.console.history import (
    TIME_RANGES,
    AIApiHistory,
    DecisionSnapshot,
    HistoryEvent,
    Metric,
    TimeRange,
)
from aiapi_operator.console.ring_buffer import RingBuffer
from aiapi_operator.present import numbers
from aiapi_operator.present.chart import Chart, Line, Mark, TimeAxis
from aiapi_operator.sizing.savings import HOURS_PER_MONTH

_GAP = 4
"""Steps without a row after which a line is broken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One number, its unit and its source."""

    name: str
    value: str
    unit: str
    source: str
    tone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AIApiDetail:
    """The content of the page of one AIApi."""

    view: AIApiSummary
    tiles: Sequence[Tile]
    charts: Sequence[Chart]
    time_labels: Sequence[str]
    events: Sequence[HistoryEvent]
    message: str
    """The reason of the last decision."""


def detail(
    manifest: dict[str, Any], history: AIApiHistory | None, *, time_range: int, now: float
) -> AIApiDetail:
    """Build the page: from the history, or from the status if there is no history."""
    view = from_manifest(manifest)
    if history is None:
        return AIApiDetail(
            view=view,
            tiles=status_tiles(view),
            charts=(),
            time_labels=(),
            events=(),
            message=str(view.decision.get("message", "No decision yet.")),
        )
    chosen = TIME_RANGES[time_range]
    return AIApiDetail(
        view=view,
        tiles=tiles(history.current, view),
        charts=charts(history.rings[time_range], chosen, view, history, now),
        time_labels=_time_labels(chosen),
        events=tuple(reversed(history.events)),
        message=history.current.message,
    )


def status_tiles(view: AIApiSummary) -> list[Tile]:
    """The numbers in the status."""
    source = "status, as last written"
    return [
        Tile(
            name="Arrivals",
            value=_or_none(view.load, "requestsPerSecond"),
            unit="rps",
            source=source,
        ),
        Tile(name="Need", value=_or_none(view.need, "workers"), unit="workers", source=source),
        Tile(name="Fleet", value=view.running, unit="ready/pods x workers", source=source),
        Tile(
            name=f"Latency {view.percentile}",
            value=view.measured or numbers.NONE,
            unit=f"objective {view.objective}",
            source=source,
            tone="bad" if view.misses_objective else "",
        ),
        Tile(name="Saved", value=_or_none(view.savings, "percent"), unit="", source=source),
    ]


def _or_none(document: dict[str, Any], key: str) -> str:
    return str(document.get(key, numbers.NONE))


def tiles(current: DecisionSnapshot, view: AIApiSummary) -> list[Tile]:
    """The last decision in numbers."""
    load, need = current.load, current.need
    late = current.measured is not None and current.measured > current.threshold
    return [
        Tile(
            name="Arrivals",
            value=numbers.number(load.arrivals_per_second),
            unit=f"requests/s now, {numbers.number(need.demand)} expected",
            source="the pods' request counters; forecast for the lead time of new capacity",
        ),
        Tile(
            name="Need",
            value=str(need.workers),
            unit=f"workers, set by {need.binding.value}",
            source=_need_source(current),
        ),
        Tile(
            name="Fleet",
            value=f"{current.ready} x {current.workers}",
            unit=f"ready pods x workers per pod; {current.running} workers running",
            source=f"the pods; wanted: {current.replicas} x {current.workers}",
            tone="" if current.ready >= current.replicas else "warn",
        ),
        Tile(
            name=f"Latency {view.percentile}",
            value=numbers.latency(current.measured),
            unit=f"objective {numbers.latency(current.threshold)}",
            source="the pods' latency histograms, last minute",
            tone="bad" if late else "good" if current.measured is not None else "",
        ),
        Tile(
            name="Event loops",
            value=numbers.percent(load.loop_utilization),
            unit=f"busy in the busiest pod, target {numbers.percent(need.target_utilization)}",
            source="event-loop time / wall time",
        ),
        _saved_tile(current),
    ]


def _need_source(current: DecisionSnapshot) -> str:
    need = current.need
    if need.demand is None or not need.service_demand:
        return "the running workers are kept until the load is known"
    return (
        f"{numbers.number(need.demand)} requests/s x {numbers.latency(need.service_demand)}"
        f" loop time / {numbers.percent(need.target_utilization)}, or a floor"
    )


def _saved_tile(current: DecisionSnapshot) -> Tile:
    saved = current.savings
    if saved is None:
        return Tile(name="Saved", value=numbers.NONE, unit="", source="not measured yet")
    baseline = f"{saved.baseline.replicas} x {saved.baseline.workers}"
    origin = "the largest fleet so far" if saved.baseline_is_peak else "the baseline in the spec"
    source = f"compared with {origin}, {baseline} all the time"
    if not saved.baseline_hour:
        return Tile(
            name="Saved",
            value=numbers.percent(saved.percent / 100),
            unit="of worker and pod hours",
            source=source,
        )
    return Tile(
        name="Saved",
        value=numbers.percent(saved.percent / 100),
        unit=f"{numbers.money(saved.per_month / HOURS_PER_MONTH, saved.currency)} per hour",
        source=f"{source}, at the prices in the spec",
        tone="good" if saved.percent > 0 else "",
    )


def _time_labels(time_range: TimeRange) -> list[str]:
    """Four labels, from the left."""
    minutes = time_range.seconds / 60
    parts = [minutes, 2 * minutes / 3, minutes / 3]
    unit, size = ("min", 1) if minutes < 120 else ("h", 60)
    return [*(f"-{part / size:g} {unit}" for part in parts), "now"]


class _LineFactory(Protocol):
    def __call__(self, name: str, tone: str, metric: Metric, **style: bool) -> Line:
        """The line of a metric."""


class _ChartFactory(Protocol):
    def __call__(self, **options: Any) -> Chart:
        """A chart on the time axis of the page."""


def charts(
    ring: RingBuffer, time_range: TimeRange, view: AIApiSummary, history: AIApiHistory, now: float
) -> list[Chart]:
    """The charts of the page, on one time axis."""
    times = ring.times()
    axis = TimeAxis(start=now - time_range.seconds, end=now, gap=_GAP * time_range.step)
    marks = tuple(
        Mark(time=event.time, text=f"{event.title} {event.size}")
        for event in history.events
        if event.resized
    )

    def line(name: str, tone: str, metric: Metric, **style: bool) -> Line:
        points = list(zip(times, ring.column(metric), strict=True))
        return Line(name=name, tone=tone, points=points, **style)

    def chart(**options: Any) -> Chart:
        return Chart(axis=axis, marks=marks, **options)

    return [
        *_load_charts(chart, line, view),
        *_fleet_charts(chart, line),
        *_cost_charts(chart, line, history.current),
    ]


def _load_charts(chart: _ChartFactory, line: _LineFactory, view: AIApiSummary) -> list[Chart]:
    return [
        chart(
            title="Demand and capacity",
            unit="requests/s",
            source="Arrivals are counted by the pods. Capacity is what the running workers can"
            " serve at the target utilization.",
            lines=(
                line("arrivals", "a", Metric.ARRIVALS, filled=True),
                line("expected", "b", Metric.DEMAND),
                line("capacity", "c", Metric.CAPACITY, step=True),
            ),
        ),
        chart(
            title=f"Latency {view.percentile} and objective",
            unit="time",
            source="From the pods' latency histograms of the last minute.",
            lines=(
                line(view.percentile, "a", Metric.LATENCY),
                line("objective", "limit", Metric.OBJECTIVE, step=True),
            ),
            format=numbers.latency,
        ),
        chart(
            title="Event loops",
            unit="utilization",
            source="Event-loop time over wall time of the busiest pod.",
            lines=(
                line("busiest pod", "a", Metric.UTILIZATION, filled=True),
                line("target", "limit", Metric.TARGET, step=True),
            ),
            format=numbers.percent,
            top=1.0,
        ),
    ]


def _fleet_charts(chart: _ChartFactory, line: _LineFactory) -> list[Chart]:
    return [
        chart(
            title="Workers",
            unit="workers in all pods",
            source="Need is computed from the load, wanted is the decision, running is reported by"
            " the pods.",
            lines=(
                line("running", "a", Metric.RUNNING, step=True, filled=True),
                line("wanted", "c", Metric.WANTED, step=True),
                line("need", "b", Metric.NEED, step=True),
            ),
            format=numbers.integer,
            whole=True,
        ),
        chart(
            title="Pods and workers per pod",
            unit="count",
            source="Ready pods, and the workers that each pod is set to run.",
            lines=(
                line("ready pods", "a", Metric.PODS, step=True, filled=True),
                line("workers per pod", "c", Metric.WORKERS_PER_POD, step=True),
            ),
            format=numbers.integer,
            whole=True,
        ),
    ]


def _cost_charts(
    chart: _ChartFactory, line: _LineFactory, current: DecisionSnapshot
) -> list[Chart]:
    """The cost; no chart if the spec has no prices."""
    if current.savings is None or not current.savings.baseline_hour:
        return []
    return [
        chart(
            title="Cost",
            unit=f"{current.savings.currency} per hour",
            source="The wanted fleet and the static baseline, at the prices in the spec.",
            lines=(
                line("right-sized", "a", Metric.COST, step=True, filled=True),
                line("static baseline", "limit", Metric.BASELINE_COST, step=True),
            ),
        )
    ]
