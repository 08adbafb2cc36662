"""A small chart in SVG: areas and lines over time, phase bands, a level, and marks with hover."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

Point = tuple[float, float | None]

WIDTH = 960
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 34, 22
ROUND = (1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """The time axis that all charts of a page share, in seconds from 0."""

    end: float
    bands: tuple[tuple[float, float, str], ...]

    def x(self, at: float) -> float:
        """Where a moment lies."""
        return LEFT + (WIDTH - LEFT - RIGHT) * min(1.0, max(0.0, at / self.end))


@dataclass(frozen=True, slots=True)
class Line:
    """A line. ``tone`` names a colour of the page; None in the points leaves a gap."""

    name: str
    tone: str
    points: Sequence[Point]
    step: bool = False
    filled: bool = False


def Area(name: str, tone: str, points: Sequence[Point], step: bool = False) -> Line:  # noqa: N802
    """A line with the space below it filled."""
    return Line(name, tone, points, step, filled=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A moment with something to say."""

    at: float
    kind: str
    text: str


def nice_ceiling(value: float) -> float:
    """The smallest round number (one of ``ROUND`` times a power of ten) not below the value."""
    if value <= 0:
        return 1.0
    power: float = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in ROUND if step * power >= value * (1 - 1e-9))


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One chart of the page."""

    title: str
    unit: str
    series: tuple[Line, ...]
    level: tuple[float, str] | None = None
    marks: tuple[Mark, ...] = ()
    height: int = 160

    def svg(self, axis: Axis) -> str:
        """The chart as an SVG element."""
        parts = [
            *self._bands(axis),
            *self._scale(),
            *self._times(axis),
            *(part for line in self.series for part in self._line(line, axis)),
            *self._level(),
            *self._marks(axis),
            *self._legend(),
        ]
        return (
            f'<svg viewBox="0 0 {WIDTH} {self.height}" role="img" '
            f'aria-label="{escape(self.title)}">{"".join(parts)}</svg>'
        )

    @property
    def _top(self) -> float:
        values = [value for line in self.series for _, value in line.points if value is not None]
        return nice_ceiling(1.2 * max([*values, self.level[0] if self.level else 0.0]))

    def _y(self, value: float) -> float:
        floor = self.height - BOTTOM
        return floor - (floor - TOP) * min(1.0, value / self._top)

    def _bands(self, axis: Axis) -> Iterator[str]:
        for index, (begin, end, name) in enumerate(axis.bands):
            left, right = axis.x(begin), axis.x(end)
            yield (
                f'<rect class="band{index % 2}" x="{left:.1f}" y="{TOP}" '
                f'width="{right - left:.1f}" height="{self.height - BOTTOM - TOP}"/>'
            )
            yield f'<text class="phase" x="{left + 6:.1f}" y="{TOP + 13}">{escape(name)}</text>'

    def _scale(self) -> Iterator[str]:
        for part in (0.0, 0.5, 1.0):
            value = self._top * part
            y = self._y(value)
            yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            yield (
                f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" '
                f'text-anchor="end">{value:g}</text>'
            )

    def _times(self, axis: Axis) -> Iterator[str]:
        every = 30 if axis.end > 60 else 10
        for at in range(0, int(axis.end) + 1, every):
            yield (
                f'<text class="tick" x="{axis.x(at):.1f}" y="{self.height - 6}" '
                f'text-anchor="middle">{at // 60}:{at % 60:02}</text>'
            )

    def _line(self, line: Line, axis: Axis) -> Iterator[str]:
        for run in _runs(line.points):
            path = self._path(run, axis, step=line.step)
            if line.filled:
                floor = self._y(0)
                yield (
                    f'<path class="area {line.tone}" d="{path} V{floor:.1f} '
                    f'H{axis.x(run[0][0]):.1f} Z"/>'
                )
            yield f'<path class="line {line.tone}" d="{path}"/>'

    def _path(self, run: Sequence[tuple[float, float]], axis: Axis, *, step: bool) -> str:
        path = f"M{axis.x(run[0][0]):.1f} {self._y(run[0][1]):.1f}"
        for at, value in run[1:]:
            x, y = axis.x(at), self._y(value)
            path += f" H{x:.1f} V{y:.1f}" if step else f" L{x:.1f} {y:.1f}"
        return path

    def _level(self) -> Iterator[str]:
        if self.level is None:
            return
        value, name = self.level
        y = self._y(value)
        right = WIDTH - RIGHT
        yield f'<line class="level" x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield (
            f'<text class="levelname" x="{LEFT + 6}" y="{y + 14:.1f}">'
            f"{escape(name)}: {value:g}{self.unit}</text>"
        )

    def _marks(self, axis: Axis) -> Iterator[str]:
        floor = self.height - BOTTOM
        for mark in self.marks:
            x = axis.x(mark.at)
            yield (
                f'<g class="mark {mark.kind}"><title>{escape(mark.text)}</title>'
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{floor}"/>'
                f'<circle cx="{x:.1f}" cy="{floor}" r="5"/></g>'
            )

    def _legend(self) -> Iterator[str]:
        yield f'<text class="title" x="{LEFT}" y="18">{escape(self.title)}</text>'
        x = WIDTH - RIGHT
        names = [(line.name, f"swatch {line.tone}") for line in self.series]
        kinds = sorted({mark.kind for mark in self.marks})
        names += [(kind, f"dot {kind}") for kind in kinds]
        for name, style in reversed(names):
            x -= 7 * len(name) + 6
            yield f'<text class="legend" x="{x}" y="18">{escape(name)}</text>'
            x -= 17
            round_ = 6 if style.startswith("dot") else 2
            yield f'<rect class="{style}" x="{x}" y="8" width="12" height="12" rx="{round_}"/>'
            x -= 14


def _runs(points: Sequence[Point]) -> Iterator[list[tuple[float, float]]]:
    """The stretches without a gap."""
    for known, group in groupby(points, key=lambda point: point[1] is not None):
        if known:
            yield [(at, value) for at, value in group if value is not None]
