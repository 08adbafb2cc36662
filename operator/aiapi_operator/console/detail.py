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
from aiapi_operator.console.tiles import Tile, status_tiles, tiles
from aiapi_operator.present import numbers
from aiapi_operator.present.chart import Chart, Line, Mark, TimeAxis

_GAP = 4
"""Steps without a row after which a line is broken."""
_LONGEST = 90.0
"""Seconds for which it is not: an idle AIApi has a row once a minute."""


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
            message=_message(view, str(view.decision.get("message", "No decision yet."))),
        )
    chosen = TIME_RANGES[time_range]
    return AIApiDetail(
        view=view,
        tiles=status_tiles(view) if view.is_asleep else tiles(history.current, view),
        charts=charts(history.rings[time_range], chosen, view, history, now),
        time_labels=_time_labels(chosen),
        events=tuple(reversed(history.events)),
        message=_message(view, history.current.message),
    )


def _message(view: AIApiSummary, decision: str) -> str:
    """The reason of the last decision; that of the phase while pods do not serve alone."""
    return str(view.activation.get("message", "")) or decision if view.phase else decision


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
    gap = max(_LONGEST, _GAP * time_range.step)
    axis = TimeAxis(start=now - time_range.seconds, end=now, gap=gap)
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
            title="Failed requests",
            unit="share of the requests",
            source="Server errors, shed requests, and requests cancelled while event loops were"
            " busy, in the last minute.",
            lines=(line("failed", "a", Metric.FAILING, filled=True),),
            format=numbers.small_percent,
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
