"""Line charts over time as SVG, for the console, the simulator's report and the demo.

``Chart.svg`` is a complete picture: title, legend, scale and times are in it. ``Chart.plot`` is
the plot alone and stretches with the page; the console puts the text around it as HTML, so that
it keeps its size on a phone. Colors and dashes come from the page's stylesheet (``stylesheet()``,
or the page's own): ``tone`` and ``kind`` are CSS classes.

No library: matplotlib and plotly are too large for an operator's image, pygal is LGPL, and leather
has no stepped lines, no areas, no dark mode and no text for screen readers.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources

from aiapi_operator.present.numbers import NONE, elapsed, number

Point = tuple[float, float | None]
"""A time in seconds and the value then. None leaves a gap."""

MAX_POINTS = 720
"""Of a line. Of more points the highest of each group is drawn, so that no peak is lost."""
MAX_MARKS = 400
TABLE_ROWS = 12
_NICE = (1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10)
_HEADROOM = 1.1
_TIME_STEPS = (10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
_MAX_TIMES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line, drawn in steps if a value holds until the next one."""

    name: str
    tone: str
    points: Sequence[Point]
    step: bool = False
    filled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A moment with a text that shows on hover."""

    time: float
    text: str
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeAxis:
    """The time axis that the charts of a page share, in seconds."""

    start: float = 0.0
    end: float
    gap: float = math.inf
    """Seconds without a point after which a line is broken."""
    bands: tuple[tuple[float, float, str], ...] = ()
    """Named phases: from, until, name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Lines over one time axis, above zero."""

    title: str
    unit: str
    lines: tuple[Line, ...]
    axis: TimeAxis
    marks: tuple[Mark, ...] = ()
    level: tuple[float, str] | None = None
    """A horizontal line: value and name."""
    top: float | None = None
    """Where the scale ends; None for a round number above all values."""
    whole: bool = False
    """Whether the scale has whole numbers only."""
    format: Callable[[float], str] = number
    source: str = ""
    """Where the numbers come from."""
    height: int = 160

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(True for line in self.lines for _ in runs(line.points, self.axis))

    @property
    def highest(self) -> float:
        """Where the scale ends."""
        if self.top is not None:
            return self.top
        values = [value for line in self.lines for _, value in line.points if value is not None]
        highest = _HEADROOM * max([*values, self.level[0] if self.level else 0.0])
        return max(2.0, 2 * math.ceil(highest / 2)) if self.whole else nice_ceiling(highest)

    @property
    def ticks(self) -> tuple[str, ...]:
        """The labels of the scale, from the top."""
        return tuple(self.format(self.highest * part) for part in (1.0, 0.5, 0.0))

    @property
    def summary(self) -> str:
        """The chart in a sentence, for screen readers."""
        facts = []
        for line in self.lines:
            known = [value for _, value in line.points if value is not None]
            if known:
                last, highest = self.format(known[-1]), self.format(max(known))
                facts.append(f"{line.name} {last} last, {highest} at most")
        return f"{self.heading}: {'; '.join(facts) or 'no data yet'}"

    @property
    def heading(self) -> str:
        """Title and unit."""
        return f"{self.title}, {self.unit}" if self.unit else self.title

    def table(self) -> list[tuple[float, tuple[str, ...]]]:
        """About ``TABLE_ROWS`` times with the value of each line. The lines share their times."""
        rows = [
            (points[0][0], tuple(NONE if v is None else self.format(v) for _, v in points))
            for points in zip(*(line.points for line in self.lines), strict=True)
            if points[0][0] >= self.axis.start
        ]
        every = max(1, math.ceil(len(rows) / TABLE_ROWS))
        return rows[::-1][::every][::-1]

    def plot(self) -> str:
        """Grid, lines and marks as an SVG element without text, which stretches to its box."""
        box = _Box(self, self.highest, left=0, right=1000, top=0, bottom=200)
        parts = [
            '<path class="grid" d="M0 0H1000M0 100H1000M0 200H1000M333.3 0V200M666.7 0V200"/>',
            *box.areas(),
            *box.marks(),
            *box.lines(),
        ]
        return (
            '<svg viewBox="0 0 1000 200" preserveAspectRatio="none" role="img"'
            f' aria-label="{escape(self.summary)}">{"".join(parts)}</svg>'
        )

    def svg(self) -> str:
        """The complete picture as an SVG element."""
        box = _Box(self, self.highest, left=56, right=946, top=34, bottom=self.height - 22)
        parts = [
            *_bands(box),
            *_scale(box),
            *_times(box),
            *box.areas(),
            *box.lines(),
            *_level(box),
            *box.marks(dots=True),
            *_legend(box),
        ]
        return (
            f'<svg viewBox="0 0 960 {self.height}" role="img"'
            f' aria-label="{escape(self.summary)}">{"".join(parts)}</svg>'
        )


def stylesheet() -> str:
    """The CSS of a self-contained page with ``Chart.svg`` charts, light and dark."""
    return resources.files(__package__).joinpath("page.css").read_text("utf-8")


def nice_ceiling(value: float) -> float:
    """The smallest round number that is not below ``value``."""
    if value <= 0:
        return 1.0
    power: float = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in _NICE if step * power >= value * (1 - 1e-9))


def runs(points: Sequence[Point], axis: TimeAxis) -> Iterator[list[tuple[float, float]]]:
    """The stretches of a line between its gaps."""
    run: list[tuple[float, float]] = []
    for time, value in _thinned([point for point in points if point[0] >= axis.start]):
        if run and (value is None or time - run[-1][0] > axis.gap):
            yield run
            run = []
        if value is not None:
            run.append((time, value))
    if run:
        yield run


def _thinned(points: Sequence[Point]) -> Sequence[Point]:
    width = math.ceil(len(points) / MAX_POINTS)
    if width <= 1:
        return points
    groups = [points[begin : begin + width] for begin in range(0, len(points), width)]
    return [
        (group[0][0], max((value for _, value in group if value is not None), default=None))
        for group in groups
    ]


@dataclass(frozen=True, slots=True)
class _Box:
    """The part of a picture in which the lines of a chart are drawn."""

    chart: Chart
    highest: float
    left: float
    right: float
    top: float
    bottom: float

    def x(self, time: float) -> float:
        axis = self.chart.axis
        part = (time - axis.start) / (axis.end - axis.start)
        return self.left + (self.right - self.left) * min(1.0, max(0.0, part))

    def y(self, value: float) -> float:
        part = min(1.0, max(0.0, value / self.highest))
        return self.bottom - (self.bottom - self.top) * part

    def lines(self) -> Iterator[str]:
        for line in self.chart.lines:
            for run in runs(line.points, self.chart.axis):
                yield f'<path class="line {line.tone}" d="{self._path(run, step=line.step)}"/>'

    def areas(self) -> Iterator[str]:
        for line in self.chart.lines:
            for run in runs(line.points, self.chart.axis) if line.filled else ():
                path = self._path(run, step=line.step)
                floor = f"V{self.bottom:g}H{self.x(run[0][0]):.1f}Z"
                yield f'<path class="area {line.tone}" d="{path}{floor}"/>'

    def _path(self, run: Sequence[tuple[float, float]], *, step: bool) -> str:
        places = [(self.x(time), self.y(value)) for time, value in run]
        (x, y), *rest = places
        # A path of a single point has no length and would not be visible.
        path = f"M{x:.1f} {y:.1f}" + ("" if rest else "h0.1")
        return path + "".join(f"H{x:.1f}V{y:.1f}" if step else f"L{x:.1f} {y:.1f}" for x, y in rest)

    def marks(self, *, dots: bool = False) -> Iterator[str]:
        shown = [mark for mark in self.chart.marks if mark.time >= self.chart.axis.start]
        for mark in shown[:: math.ceil(len(shown) / MAX_MARKS) or 1]:
            x = f"{self.x(mark.time):.1f}"
            dot = f'<circle cx="{x}" cy="{self.bottom:g}" r="5"/>' if dots else ""
            yield (
                f'<g class="mark {mark.kind}"><title>{escape(mark.text)}</title>'
                f'<path d="M{x} {self.top:g}V{self.bottom:g}"/>{dot}</g>'
            )


def _bands(box: _Box) -> Iterator[str]:
    for index, (begin, end, name) in enumerate(box.chart.axis.bands):
        left, right = box.x(begin), box.x(end)
        yield (
            f'<rect class="band{index % 2}" x="{left:.1f}" y="{box.top}"'
            f' width="{right - left:.1f}" height="{box.bottom - box.top}"/>'
            f'<text class="phase" x="{left + 6:.1f}" y="{box.top + 13}">{escape(name)}</text>'
        )


def _scale(box: _Box) -> Iterator[str]:
    for part, label in zip((1.0, 0.5, 0.0), box.chart.ticks, strict=True):
        y = box.y(box.highest * part)
        yield (
            f'<path class="grid" d="M{box.left} {y:.1f}H{box.right}"/>'
            f'<text class="tick" x="{box.left - 6}" y="{y + 4:.1f}" text-anchor="end">'
            f"{escape(label)}</text>"
        )


def _times(box: _Box) -> Iterator[str]:
    axis = box.chart.axis
    length = int(axis.end - axis.start)
    step = next((step for step in _TIME_STEPS if length / step <= _MAX_TIMES), _TIME_STEPS[-1])
    for passed in range(0, length + 1, step):
        # Minutes and seconds of a short run, hours and minutes of a long one.
        label = elapsed(passed if length < 3600 else passed / 60)
        yield (
            f'<text class="tick" x="{box.x(axis.start + passed):.1f}" y="{box.bottom + 16}"'
            f' text-anchor="middle">{label}</text>'
        )


def _level(box: _Box) -> Iterator[str]:
    if box.chart.level is not None:
        value, name = box.chart.level
        y, label = box.y(value), f"{name}: {box.chart.format(value)} {box.chart.unit}".rstrip()
        label_y = y + 14 if value > box.highest / 2 else y - 5
        yield (
            f'<path class="level" d="M{box.left} {y:.1f}H{box.right}"/>'
            f'<text class="levelname" x="{box.left + 6}" y="{label_y:.1f}">{escape(label)}</text>'
        )


def _legend(box: _Box) -> Iterator[str]:
    yield f'<text class="title" x="{box.left}" y="18">{escape(box.chart.heading)}</text>'
    names = [(line.name, f"swatch {line.tone}", 2) for line in box.chart.lines]
    kinds = sorted({mark.kind for mark in box.chart.marks if mark.kind})
    names += [(kind, f"dot {kind}", 6) for kind in kinds]
    x = box.right
    for name, style, radius in reversed(names):
        x -= 7 * len(name) + 6
        yield f'<text class="legend" x="{x}" y="18">{escape(name)}</text>'
        x -= 17
        yield f'<rect class="{style}" x="{x}" y="8" width="12" height="12" rx="{radius}"/>'
        x -= 14


def sparkline(values: Sequence[float | None], *, most: int = 48) -> str:
    """A small line, as the points of a polyline in a box of 100 x 24. Empty for fewer than two."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return ""
    width = math.ceil(len(known) / most)
    peaks = [max(known[begin : begin + width]) for begin in range(0, len(known), width)]
    top = max(*peaks, 1e-9)
    step = 100 / max(1, len(peaks) - 1)
    return " ".join(f"{i * step:.1f},{23 - 22 * value / top:.1f}" for i, value in enumerate(peaks))
