"""The comparison as a self-contained HTML page: four charts per policy, on one time axis.

The charts are inline SVG. The page has no script and loads nothing. The reason of each change of
the fleet shows on hover.
"""

from collections.abc import Callable, Sequence
from html import escape
from importlib import resources
from itertools import accumulate
from math import isfinite
from typing import Any

from aiapi_operator.present.chart import (
    Chart,
    Line,
    Mark,
    Point,
    TimeAxis,
    nice_ceiling,
    stylesheet,
)
from aiapi_operator.present.numbers import count, elapsed
from aiapi_operator.simulate.compare import Comparison
from aiapi_operator.simulate.measure import RunResult, SizeChange
from aiapi_operator.simulate.report import (
    COLD_COLUMNS,
    COLUMNS,
    cold_rows,
    introduction,
    row,
)
from aiapi_operator.sizing.plan import POD_CPU


def render(comparison: Comparison) -> str:
    """The whole page."""
    page = resources.files(__package__).joinpath("page.template.html").read_text("utf-8")
    rows = [row(each, comparison.vs_oracle(each)) for each in comparison.results]
    parts = {
        "{{stylesheet}}": stylesheet(),
        "{{introduction}}": "".join(f"<p>{escape(line)}</p>" for line in introduction(comparison)),
        "{{table}}": _table(COLUMNS, rows),
        "{{cold}}": _cold_starts(comparison),
        "{{policies}}": "\n".join(_policy(comparison, each) for each in comparison.results),
    }
    for name, content in parts.items():
        page = page.replace(name, content)
    return page


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>" for cells in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cold_starts(comparison: Comparison) -> str:
    if comparison.to_zero_after is None:
        return ""
    table = _table(("policy", *COLD_COLUMNS), cold_rows(comparison))
    return (
        "<h2>Cold starts</h2><p>The requests that arrived while no pod was ready, and the others."
        f' Both are in the table above.</p><div class="wide">{table}</div>'
    )


def _policy(comparison: Comparison, result: RunResult) -> str:
    charts = (
        _capacity(comparison, result),
        _fleet(comparison, result),
        _latency(comparison, result),
        _cost(comparison, result),
    )
    drawn = "\n".join(chart.svg() for chart in charts)
    return f'<section><h2>{escape(result.policy)}</h2><div class="charts">{drawn}</div></section>'


def _chart(result: RunResult, **options: Any) -> Chart:
    return Chart(axis=TimeAxis(end=max(60.0, 60.0 * len(result.minutes))), **options)


def _points(values: Sequence[float | None]) -> list[Point]:
    """One point per minute."""
    return [(60.0 * minute, value) for minute, value in enumerate(values)]


def _highest(comparison: Comparison, value: Callable[[RunResult], float]) -> float:
    return max(value(each) for each in comparison.results)


def _capacity(comparison: Comparison, result: RunResult) -> Chart:
    """Requests that arrived, and that the fleet can serve within the objective."""
    per_worker = comparison.utilization / comparison.load.service.demand
    demand = [minute.requests / 60 for minute in result.minutes]
    capacity = [minute.workers * per_worker for minute in result.minutes]
    return _chart(
        result,
        title="Demand and capacity",
        unit="requests/s",
        lines=(
            Line(name="capacity", tone="accent", points=_points(capacity), step=True),
            Line(name="demand", tone="strong", points=_points(demand)),
        ),
        top=nice_ceiling(1.1 * max(1.0, *demand, min(max(capacity), 3 * max(demand)))),
    )


def _fleet(comparison: Comparison, result: RunResult) -> Chart:
    """The ordered fleet; every change with its reason."""
    return _chart(
        result,
        title="Workers and pods (hover over a dot for the reason of a change)",
        unit="",
        lines=(
            Line(
                name="workers",
                tone="accent",
                points=_points([minute.workers for minute in result.minutes]),
                step=True,
            ),
            Line(
                name="pods",
                tone="strong",
                points=_points([minute.replicas for minute in result.minutes]),
                step=True,
            ),
        ),
        marks=tuple(
            Mark(time=change.at, kind="decision", text=_change_text(change))
            for change in result.changes
        ),
        top=nice_ceiling(1.1 * _highest(comparison, lambda each: each.max_workers)),
    )


def _change_text(change: SizeChange) -> str:
    before, after = change.before, change.after
    return (
        f"{elapsed(change.at, hours=True)} {count(before.replicas, 'pod')} x {before.workers}"
        f" -> {count(after.replicas, 'pod')} x {after.workers}. {change.why}"
    )


def _latency(comparison: Comparison, result: RunResult) -> Chart:
    objective = comparison.spec.objective
    threshold = 1000 * objective.threshold
    percentile = objective.name
    latencies = [_milliseconds(minute.latency, threshold) for minute in result.minutes]
    return _chart(
        result,
        title=f"{percentile} of each minute, up to 3 x the objective",
        unit="ms",
        lines=(Line(name=percentile, tone="accent", points=_points(latencies)),),
        top=3 * threshold,
        level=(threshold, "objective"),
    )


def _milliseconds(latency: float | None, threshold: float) -> float | None:
    if latency is None:
        return None
    return 1000 * latency if isfinite(latency) else 3 * threshold


def _cost(comparison: Comparison, result: RunResult) -> Chart:
    """The accumulated cost, beside that of the oracle."""
    oracle = comparison.oracle
    return _chart(
        result,
        title="Accumulated cost",
        unit="core-hours",
        lines=(
            Line(name=result.policy, tone="accent", points=_points(_costs(comparison, result))),
            Line(name="oracle", tone="muted", points=_points(_costs(comparison, oracle))),
        ),
        top=nice_ceiling(1.1 * _highest(comparison, lambda each: each.core_hours)),
    )


def _costs(comparison: Comparison, result: RunResult) -> list[float]:
    """The core-hours at the end of each minute, scaled to the total of the run."""
    worker = comparison.spec.worker_cpu
    cores = [POD_CPU * minute.replicas + worker * minute.workers for minute in result.minutes]
    total = sum(cores) or 1.0
    return [result.core_hours * part / total for part in accumulate(cores)]
