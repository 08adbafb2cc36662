"""The comparison as one self-contained page: a set of charts a policy, on one time axis.

Inline SVG, no script, nothing loaded from anywhere. A change of the fleet says why on hover.
A chart has one point a minute, or fewer of a long trace: then a point is the highest of the
minutes that it stands for, so that no peak is lost.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from itertools import accumulate, groupby
from math import isfinite

from aiapi_operator.simulate.compare import Comparison
from aiapi_operator.simulate.measure import RunResult, SizeChange
from aiapi_operator.simulate.report import COLUMNS, introduction, row
from aiapi_operator.sizing.plan import POD_CPU

_WIDTH, _HEIGHT = 960, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 26, 20
_MOST_POINTS = 720
_MOST_MARKS = 400
"""Changes that are drawn; beyond that a chart is but a bar."""

Values = Sequence[float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Series:
    name: str
    tone: str
    values: Values
    step: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chart:
    """Lines over the minutes of a run."""

    title: str
    series: tuple[_Series, ...]
    top: float
    level: float | None = None
    changes: tuple[SizeChange, ...] = ()

    def svg(self) -> str:
        """The chart as an SVG element."""
        parts = [*self._frame(), *map(self._line, self.series), *self._marks()]
        return (
            f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"'
            f' aria-label="{escape(self.title)}">{"".join(parts)}</svg>'
        )

    @property
    def _minutes(self) -> int:
        return max(1, *(len(series.values) for series in self.series))

    def _x(self, minute: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * min(1.0, minute / self._minutes)

    def _y(self, value: float) -> float:
        floor = _HEIGHT - _BOTTOM
        return floor - (floor - _TOP) * min(1.0, max(0.0, value / self.top))

    def _frame(self) -> list[str]:
        parts = [f'<text class="title" x="{_LEFT}" y="16">{escape(self.title)}</text>']
        for share in (0.0, 0.5, 1.0):
            y = self._y(self.top * share)
            parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>')
            parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}">{self.top * share:.4g}</text>')
        for part in range(9):
            minute = self._minutes * part / 8
            clock = f"{int(minute) // 60}:{int(minute) % 60:02}"
            parts.append(
                f'<text class="time" x="{self._x(minute):.1f}" y="{_HEIGHT - 4}">{clock}</text>'
            )
        x = _WIDTH - _RIGHT
        for series in self.series:
            parts.append(f'<text class="{series.tone}" x="{x}" y="16">{escape(series.name)}</text>')
            x -= 8 * len(series.name) + 16
        if self.level is not None:
            y = self._y(self.level)
            parts.append(f'<path class="level" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>')
        return parts

    def _line(self, series: _Series) -> str:
        path = ""
        for known, run in groupby(_thin(series.values), key=lambda point: point[1] is not None):
            if known:
                path += self._path([(at, value or 0.0) for at, value in run], step=series.step)
        return f'<path class="line {series.tone}" d="{path}"/>'

    def _path(self, run: list[tuple[float, float]], *, step: bool) -> str:
        path = f"M{self._x(run[0][0]):.1f} {self._y(run[0][1]):.1f}"
        for at, value in run[1:]:
            x, y = self._x(at), self._y(value)
            path += f"H{x:.1f}V{y:.1f}" if step else f"L{x:.1f} {y:.1f}"
        return path

    def _marks(self) -> list[str]:
        floor = _HEIGHT - _BOTTOM
        every = -(-len(self.changes) // _MOST_MARKS) or 1
        return [
            f'<g class="mark"><title>{escape(_told(change))}</title>'
            f'<path d="M{self._x(change.at / 60):.1f} {_TOP}V{floor}"/>'
            f'<circle cx="{self._x(change.at / 60):.1f}" cy="{floor}" r="4"/></g>'
            for change in self.changes[::every]
        ]


def _thin(values: Values) -> list[tuple[float, float | None]]:
    width = -(-len(values) // _MOST_POINTS) or 1
    points: list[tuple[float, float | None]] = []
    for begin in range(0, len(values), width):
        known = [value for value in values[begin : begin + width] if value is not None]
        points.append((begin, max(known) if known else None))
    return points


def _told(change: SizeChange) -> str:
    seconds = int(change.at)
    before, after = change.before, change.after
    return (
        f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02} {before.replicas} pods x"
        f" {before.workers} -> {after.replicas} pods x {after.workers}. {change.why}"
    )


def render(comparison: Comparison) -> str:
    """The whole page."""
    page = resources.files(__package__).joinpath("page.template.html").read_text("utf-8")
    head = "".join(f"<th>{escape(column)}</th>" for column in COLUMNS)
    rows = "".join(
        "<tr>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in row(each, comparison.vs_oracle(each)))
        + "</tr>"
        for each in comparison.results
    )
    parts = {
        "{{introduction}}": "".join(f"<p>{escape(line)}</p>" for line in introduction(comparison)),
        "{{table}}": f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>",
        "{{policies}}": "\n".join(_policy(comparison, each) for each in comparison.results),
    }
    for name, content in parts.items():
        page = page.replace(name, content)
    return page


def _policy(comparison: Comparison, result: RunResult) -> str:
    charts = (
        _capacity(comparison, result),
        _fleet(comparison, result),
        _latency(comparison, result),
        _cost(comparison, result),
    )
    drawn = "\n".join(chart.svg() for chart in charts)
    return f"<section><h2>{escape(result.policy)}</h2>{drawn}</section>"


def _most(comparison: Comparison, value: Callable[[RunResult], float]) -> float:
    return max(value(each) for each in comparison.results)


def _capacity(comparison: Comparison, result: RunResult) -> _Chart:
    """Requests a second that came, and that the fleet can carry within the objective."""
    carries = comparison.utilization / comparison.load.service.demand
    demand = [minute.requests / 60 for minute in result.minutes]
    capacity = [minute.workers * carries for minute in result.minutes]
    return _Chart(
        title="Demand against capacity, requests a second",
        series=(
            _Series(name="capacity", tone="accent", values=capacity, step=True),
            _Series(name="demand", tone="strong", values=demand),
        ),
        top=1.1 * max(1.0, *demand, min(max(capacity), 3 * max(demand))),
    )


def _fleet(comparison: Comparison, result: RunResult) -> _Chart:
    """What was ordered; every change with its reason."""
    return _Chart(
        title="Workers and pods; a dot is a change, its reason shows on hover",
        series=(
            _Series(
                name="workers",
                tone="accent",
                values=[float(minute.workers) for minute in result.minutes],
                step=True,
            ),
            _Series(
                name="pods",
                tone="strong",
                values=[float(minute.replicas) for minute in result.minutes],
                step=True,
            ),
        ),
        top=1.1 * max(1.0, _most(comparison, lambda each: each.max_workers)),
        changes=result.changes,
    )


def _cost(comparison: Comparison, result: RunResult) -> _Chart:
    """What was paid so far, beside the oracle's."""
    return _Chart(
        title="Cost so far, core-hours",
        series=(
            _Series(name=result.policy, tone="accent", values=_paid(comparison, result)),
            _Series(name="oracle", tone="muted", values=_paid(comparison, comparison.oracle)),
        ),
        top=1.1 * max(0.01, _most(comparison, lambda each: each.core_hours)),
    )


def _paid(comparison: Comparison, result: RunResult) -> list[float]:
    """The core-hours at each minute's end, scaled to what was paid in all."""
    worker = comparison.spec.worker_cpu
    cores = [POD_CPU * minute.replicas + worker * minute.workers for minute in result.minutes]
    total = sum(cores) or 1.0
    return [result.core_hours * part / total for part in accumulate(cores)]


def _latency(comparison: Comparison, result: RunResult) -> _Chart:
    objective = comparison.spec.objective
    threshold = 1000 * objective.threshold
    return _Chart(
        title=f"p{objective.percentile:g} of each minute, ms (cut at 3 x the objective)",
        series=(
            _Series(
                name=f"p{objective.percentile:g}",
                tone="accent",
                values=[_milliseconds(minute.latency, threshold) for minute in result.minutes],
            ),
        ),
        top=3 * threshold,
        level=threshold,
    )


def _milliseconds(latency: float | None, threshold: float) -> float | None:
    if latency is None:
        return None
    return 1000 * latency if isfinite(latency) else 3 * threshold
