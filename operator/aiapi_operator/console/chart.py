"""Charts as the templates draw them: paths in a box that stretches with the page. Pure.

All text stands outside of the box, as HTML, so that it keeps its size on a phone.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 1000.0, 200.0
_ROUND = (1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10)
GAP = 4.0
"""Steps without a row after which a line is broken."""
TABLE_ROWS = 12

Values = Sequence[float | None]
Show = Callable[[float], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line. ``tone`` names its colour and dashes in the stylesheet."""

    name: str
    tone: str
    values: Values
    step: bool = False
    filled: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """The time that all charts of a page share."""

    times: Sequence[float]
    start: float
    end: float
    seconds: float
    """Between two rows."""
    marks: Sequence[tuple[float, str]] = ()
    """Moments at which the fleet was resized, with what was done."""

    def x(self, time: float) -> float:
        """Where a moment lies."""
        return WIDTH * min(1.0, max(0.0, (time - self.start) / (self.end - self.start)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """A drawn line."""

    tone: str
    line: str
    area: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A drawn chart, and the numbers beside it."""

    title: str
    unit: str
    source: str
    legend: tuple[Line, ...]
    paths: tuple[Path, ...]
    ticks: tuple[str, ...]
    """From the top."""
    marks: tuple[tuple[float, str], ...]
    summary: str
    rows: tuple[tuple[float, tuple[str, ...]], ...]
    """A few moments and the numbers of each line, for the table."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw yet."""
        return not self.paths


def nice_ceiling(value: float) -> float:
    """The smallest round number not below the value."""
    if value <= 0:
        return 1.0
    power: float = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in _ROUND if step * power >= value * (1 - 1e-9))


def draw(  # noqa: PLR0913 - what a chart says
    frame: Frame,
    *,
    title: str,
    unit: str,
    source: str,
    lines: Sequence[Line],
    show: Show,
    whole: bool = False,
    top: float | None = None,
) -> Chart:
    """Draw the lines over the frame's time. ``whole`` numbers get a scale of whole numbers.

    The scale ends at ``top``, or at a round number above the highest value.
    """
    top = _top(lines, whole=whole) if top is None else top
    return Chart(
        title=title,
        unit=unit,
        source=source,
        legend=tuple(lines),
        paths=tuple(path for line in lines for path in _paths(frame, line, top)),
        ticks=tuple(show(top * part) for part in (1.0, 0.5, 0.0)),
        marks=tuple((frame.x(time), told) for time, told in frame.marks if time >= frame.start),
        summary=_summary(title, unit, lines, show),
        rows=_rows(frame, lines, show),
    )


def _top(lines: Sequence[Line], *, whole: bool) -> float:
    most = max((value for line in lines for value in line.values if value is not None), default=0.0)
    if whole:
        return max(2.0, 2 * math.ceil(1.1 * most / 2))
    return nice_ceiling(1.1 * most)


def _paths(frame: Frame, line: Line, top: float) -> Iterator[Path]:
    for run in _runs(frame, line.values):
        points = [(frame.x(time), HEIGHT * (1 - min(1.0, value / top))) for time, value in run]
        drawn = _path(points, step=line.step)
        area = ""
        if line.filled:
            area = f"{drawn}V{HEIGHT:g}H{points[0][0]:.1f}Z"
        yield Path(tone=line.tone, line=drawn, area=area)


def _path(points: Sequence[tuple[float, float]], *, step: bool) -> str:
    (x, y), *rest = points
    # A single point would not be seen: it is drawn as wide as a line is thick.
    drawn = f"M{x:.1f} {y:.1f}" if rest else f"M{x:.1f} {y:.1f}h0.1"
    for x, y in rest:
        drawn += f"H{x:.1f}V{y:.1f}" if step else f"L{x:.1f} {y:.1f}"
    return drawn


def _runs(frame: Frame, values: Values) -> Iterator[list[tuple[float, float]]]:
    """The stretches without a gap."""
    run: list[tuple[float, float]] = []
    for time, value in zip(frame.times, values, strict=True):
        if value is None or time < frame.start:
            continue
        if run and time - run[-1][0] > GAP * frame.seconds:
            yield run
            run = []
        run.append((time, value))
    if run:
        yield run


def _summary(title: str, unit: str, lines: Sequence[Line], show: Show) -> str:
    """The chart in a sentence, for those who do not see it."""
    told = []
    for line in lines:
        known = [value for value in line.values if value is not None]
        if known:
            told.append(f"{line.name} {show(known[-1])} now, {show(max(known))} at most")
    return f"{title} in {unit}: {'; '.join(told) or 'no data yet'}"


def _rows(
    frame: Frame, lines: Sequence[Line], show: Show
) -> tuple[tuple[float, tuple[str, ...]], ...]:
    inside = [number for number, time in enumerate(frame.times) if time >= frame.start]
    every = max(1, math.ceil(len(inside) / TABLE_ROWS))
    return tuple(
        (
            frame.times[number],
            tuple("-" if (value := line.values[number]) is None else show(value) for line in lines),
        )
        for number in reversed(inside[::-1][::every])
    )


def sparkline(values: Values, *, most: int = 48) -> str:
    """A small line, as the points of a polyline in a box of 100 x 24."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return ""
    width = math.ceil(len(known) / most)
    bars = [max(known[at : at + width]) for at in range(0, len(known), width)]
    top = max(*bars, 1e-9) if len(bars) > 1 else max(bars[0], 1e-9)
    step = 100 / max(1, len(bars) - 1)
    return " ".join(f"{i * step:.1f},{23 - 22 * value / top:.1f}" for i, value in enumerate(bars))
