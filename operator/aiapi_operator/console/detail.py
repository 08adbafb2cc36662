"""One AIApi in full: what stands in its tiles, charts and timeline. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from aiapi_operator.api.summary import AIApiSummary, from_manifest
from aiapi_operator.console import figures
from aiapi_operator.console.chart import Chart, Frame, Line, draw
from aiapi_operator.console.history import (
    TIME_RANGES,
    AIApiHistory,
    DecisionSnapshot,
    HistoryEvent,
    Metric,
    TimeRange,
)
from aiapi_operator.console.ring_buffer import RingBuffer
from aiapi_operator.sizing.savings import HOURS_PER_MONTH


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One number, its unit, and where it comes from."""

    name: str
    value: str
    unit: str
    source: str
    tone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AIApiDetail:
    """Everything on the page of one AIApi."""

    view: AIApiSummary
    tiles: Sequence[Tile]
    charts: Sequence[Chart]
    axis: Sequence[str]
    happenings: Sequence[HistoryEvent]
    message: str
    """Why the fleet is as it is."""
    since: float | None
    """When its history begins."""


def detail(
    manifest: dict[str, Any], story: AIApiHistory | None, *, span: int, now: float
) -> AIApiDetail:
    """Put the page together. Without a story there is only what the status says."""
    view = from_manifest(manifest)
    if story is None:
        return AIApiDetail(
            view=view,
            tiles=status_tiles(view),
            charts=(),
            axis=(),
            happenings=(),
            message=str(view.decision.get("message", "No decision was taken yet.")),
            since=None,
        )
    frame = _frame(story.rings[span], TIME_RANGES[span], story.happenings, now)
    times = story.rings[-1].times()
    return AIApiDetail(
        view=view,
        tiles=tiles(story.present, view),
        charts=charts(story.rings[span], frame, view, story.present),
        axis=_axis(TIME_RANGES[span]),
        happenings=tuple(reversed(story.happenings)),
        message=story.present.message,
        since=min(times[0], story.happenings[0].time) if times else None,
    )


def status_tiles(view: AIApiSummary) -> list[Tile]:
    """What the status says, where this operator has no numbers of its own."""
    told = "status, as last written"
    return [
        Tile(
            name="Arrivals", value=_or_none(view.load, "requestsPerSecond"), unit="rps", source=told
        ),
        Tile(name="Need", value=_or_none(view.need, "workers"), unit="workers", source=told),
        Tile(name="Fleet", value=view.running, unit="ready/pods x workers", source=told),
        Tile(
            name=f"Latency {view.percentile}",
            value=_or_none(view.load, "latency"),
            unit=f"objective {view.objective}",
            source=told,
            tone="bad" if view.misses_objective else "",
        ),
        Tile(name="Saved", value=_or_none(view.savings, "percent"), unit="", source=told),
    ]


def _or_none(document: dict[str, Any], key: str) -> str:
    return str(document.get(key, figures.NONE))


def tiles(now: DecisionSnapshot, view: AIApiSummary) -> list[Tile]:
    """The present in numbers."""
    load, need = now.load, now.need
    late = load.latency is not None and load.latency > now.threshold
    return [
        Tile(
            name="Arrivals",
            value=figures.number(load.arrivals_per_second),
            unit=f"requests/s now, {figures.number(need.demand)} expected",
            source="pods' request counters; the forecast looks as far as new capacity takes",
        ),
        Tile(
            name="Need",
            value=str(need.workers),
            unit=f"workers, set by {need.binding.value}",
            source=_need_source(now),
        ),
        Tile(
            name="Fleet",
            value=f"{now.ready} x {now.workers}",
            unit=f"pods ready x workers in each; {now.running} workers run",
            source=f"pods; wanted are {now.replicas} x {now.workers}",
            tone="" if now.ready >= now.replicas else "warn",
        ),
        Tile(
            name=f"Latency {view.percentile}",
            value=figures.seconds(load.latency),
            unit=f"objective {figures.seconds(now.threshold)}",
            source="pods' latency histograms, last minute",
            tone="bad" if late else "good" if load.latency is not None else "",
        ),
        Tile(
            name="Event loops",
            value=figures.percent(load.loop_utilization),
            unit=f"busy in the busiest pod, aim {figures.percent(need.target_utilization)}",
            source="pods' event-loop time over wall time",
        ),
        _saved(now),
    ]


def _need_source(now: DecisionSnapshot) -> str:
    need = now.need
    if need.demand is None or not need.service_demand:
        return "what runs is kept while too little is known"
    return (
        f"{figures.number(need.demand)} requests/s x {figures.seconds(need.service_demand)}"
        f" loop time / {figures.percent(need.target_utilization)}, or a floor"
    )


def _saved(now: DecisionSnapshot) -> Tile:
    saved = now.savings
    if saved is None:
        return Tile(name="Saved", value=figures.NONE, unit="", source="nothing was measured yet")
    static = f"{saved.baseline.replicas} x {saved.baseline.workers}"
    base = "the largest fleet so far" if saved.baseline_is_peak else "the spec's baseline"
    if not saved.baseline_hour:
        return Tile(
            name="Saved",
            value=figures.percent(saved.percent / 100),
            unit="of worker and pod hours",
            source=f"against {base}, {static} all the time",
        )
    hour = saved.per_month / HOURS_PER_MONTH
    return Tile(
        name="Saved",
        value=figures.percent(saved.percent / 100),
        unit=f"{figures.money(hour, saved.currency)} an hour",
        source=f"against {base}, {static} all the time, at the spec's prices",
        tone="good" if saved.percent > 0 else "",
    )


def _frame(
    ring: RingBuffer, span: TimeRange, happenings: Sequence[HistoryEvent], now: float
) -> Frame:
    marks = [(each.time, f"{each.what} {each.size}") for each in happenings if each.resized]
    return Frame(
        times=ring.times(), start=now - span.length, end=now, seconds=span.seconds, marks=marks
    )


def _axis(span: TimeRange) -> list[str]:
    """Four moments, from the left."""
    minutes = span.length / 60
    parts = [minutes, 2 * minutes / 3, minutes / 3]
    unit, size = ("min", 1) if minutes < 120 else ("h", 60)
    return [*(f"-{part / size:g} {unit}" for part in parts), "now"]


def charts(
    ring: RingBuffer, frame: Frame, view: AIApiSummary, now: DecisionSnapshot
) -> list[Chart]:
    """The charts of the page, over the same time."""

    def line(name: str, tone: str, column: Metric, **style: bool) -> Line:
        return Line(name=name, tone=tone, values=ring.column(column), **style)

    return [*_load_charts(frame, view, line), *_fleet_charts(frame, line), *_cost(frame, now, line)]


class _Liner(Protocol):
    def __call__(self, name: str, tone: str, column: Metric, **style: bool) -> Line:
        """A line of one column."""


def _load_charts(frame: Frame, view: AIApiSummary, line: _Liner) -> list[Chart]:
    return [
        draw(
            frame,
            title="Demand and capacity",
            unit="requests/s",
            source="Arrivals are counted by the pods. Capacity is what the running workers carry"
            " at the utilisation aimed at.",
            lines=(
                line("arrivals", "a", Metric.ARRIVALS, filled=True),
                line("expected", "b", Metric.DEMAND),
                line("capacity", "c", Metric.CAPACITY, step=True),
            ),
            show=figures.number,
        ),
        draw(
            frame,
            title=f"Latency {view.percentile} and objective",
            unit="time",
            source="Read off the pods' latency histograms of the last minute.",
            lines=(
                line(view.percentile, "a", Metric.LATENCY),
                line("objective", "limit", Metric.OBJECTIVE, step=True),
            ),
            show=figures.seconds,
        ),
        draw(
            frame,
            title="Event loops",
            unit="busy part of the time",
            source="Event-loop time over wall time of the busiest pod.",
            lines=(
                line("busiest pod", "a", Metric.UTILIZATION, filled=True),
                line("aim", "limit", Metric.TARGET, step=True),
            ),
            show=figures.percent,
            top=1.0,
        ),
    ]


def _fleet_charts(frame: Frame, line: _Liner) -> list[Chart]:
    return [
        draw(
            frame,
            title="Workers",
            unit="workers in all pods",
            source="Need comes from the load, wanted from the decision, running from the pods.",
            lines=(
                line("running", "a", Metric.RUNNING, step=True, filled=True),
                line("wanted", "c", Metric.WANTED, step=True),
                line("need", "b", Metric.NEED, step=True),
            ),
            show=figures.whole,
            whole=True,
        ),
        draw(
            frame,
            title="Pods and workers in each",
            unit="count",
            source="Pods that are ready; workers that each pod should run.",
            lines=(
                line("pods ready", "a", Metric.PODS, step=True, filled=True),
                line("workers in each", "c", Metric.EACH, step=True),
            ),
            show=figures.whole,
            whole=True,
        ),
    ]


def _cost(frame: Frame, now: DecisionSnapshot, line: _Liner) -> list[Chart]:
    """What is being saved; nothing where compute has no price."""
    if now.savings is None or not now.savings.baseline_hour:
        return []
    return [
        draw(
            frame,
            title="Cost",
            unit=f"{now.savings.currency} an hour",
            source="The wanted fleet and the static baseline, at the spec's prices.",
            lines=(
                line("right-sized", "a", Metric.COST, step=True, filled=True),
                line("static baseline", "limit", Metric.STATIC, step=True),
            ),
            show=figures.number,
        )
    ]
