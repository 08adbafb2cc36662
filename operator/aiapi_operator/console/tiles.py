"""The tiles of the page of one AIApi: its numbers now. Pure."""

from dataclasses import dataclass
from typing import Any

from aiapi_operator.api.summary import WITHHELD, AIApiSummary
from aiapi_operator.console.history import DecisionSnapshot
from aiapi_operator.present import numbers
from aiapi_operator.sizing.savings import HOURS_PER_MONTH, Savings


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One number, its unit and its source."""

    name: str
    value: str
    unit: str
    source: str
    tone: str = ""


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
        Tile(
            name="Errors",
            value=view.failing,
            unit="of the requests",
            source=source,
            tone="bad" if view.is_failing else "",
        ),
        Tile(name="Saved", value=view.saved, unit=view.saving_withheld, source=source),
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
            source="the pods' histograms of the last minute",
            tone="bad" if late else "good" if current.measured is not None else "",
        ),
        Tile(
            name="Event loops",
            value=numbers.percent(load.loop_utilization),
            unit=f"busy in the busiest pod, target {numbers.percent(need.target_utilization)}",
            source="event-loop time / wall time",
        ),
        _errors_tile(current, view),
        _saved_tile(current),
    ]


def _errors_tile(current: DecisionSnapshot, view: AIApiSummary) -> Tile:
    return Tile(
        name="Errors",
        value=numbers.small_percent(current.load.failing),
        unit="of the requests of the last minute",
        source="server errors, shed, and cancelled while event loops were busy",
        tone="bad" if view.is_failing else "",
    )


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
        source = "known after an hour of load"
        return Tile(name="Saved", value=numbers.NONE, unit="", source=source)
    if saved.percent is None or saved.per_month is None:
        reason = WITHHELD.get(str(saved.withheld), "")
        return Tile(name="Saved", value=numbers.NONE, unit=reason, source=_missed(saved))
    baseline = f"{saved.baseline.replicas} x {saved.baseline.workers}"
    origin = "the busiest minute" if saved.baseline_is_peak else "the baseline in the spec"
    source = f"compared with {origin}, {baseline} all the time; {_missed(saved)}"
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


def _missed(saved: Savings) -> str:
    return f"objective missed or requests failed {numbers.percent(saved.missed_share)} of the time"
