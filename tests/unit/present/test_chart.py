"""Charts: their geometry, their text, and valid SVG."""

import re
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from aiapi_operator.present.chart import (
    MAX_POINTS,
    Chart,
    Line,
    Mark,
    TimeAxis,
    nice_ceiling,
    sparkline,
    stylesheet,
)

AXIS = TimeAxis(end=100, gap=8, bands=((0, 40, "calm"), (40, 100, "busy & late")))


def chart(*points: tuple[float, float | None], **options: Any) -> Chart:
    line = {"step": options.pop("step", False), "filled": options.pop("filled", False)}
    lines = (Line(name="arrivals", tone="a", points=points, **line),)
    return Chart(**{"title": "T", "unit": "rps", "lines": lines, "axis": AXIS, **options})


def paths(element: str, kind: str = "line") -> list[str]:
    root = ET.fromstring(element)  # noqa: S314 - our own output
    return [
        each.get("d", "") for each in root.iter("path") if each.get("class", "").startswith(kind)
    ]


def texts(element: str) -> set[str | None]:
    return {each.text for each in ET.fromstring(element).iter("text")}  # noqa: S314 - our own output


def test_a_line_reaches_from_its_first_to_its_last_point() -> None:
    made = chart((0.0, 0.0), (2.0, 5.0), (4.0, 9.0), marks=(Mark(time=50.0, text="ScaledUp"),))
    assert paths(made.plot()) == ["M0.0 200.0L20.0 100.0L40.0 20.0"]
    assert paths(made.plot(), "") == [
        "M0 0H1000M0 100H1000M0 200H1000M333.3 0V200M666.7 0V200",
        "M500.0 0V200",
        "M0.0 200.0L20.0 100.0L40.0 20.0",
    ]
    assert made.ticks == ("10", "5", "0")
    assert made.summary == "T, rps: arrivals 9 last, 9 at most"
    assert [values for _, values in made.table()] == [("0",), ("5",), ("9",)]


def test_missing_values_and_missing_points_leave_gaps() -> None:
    made = chart((0.0, 1.0), (2.0, None), (4.0, 1.0), (40.0, 1.0), step=True, filled=True)
    assert [path.count("M") for path in paths(made.plot())] == [1, 1, 1]
    assert len(paths(made.svg(), "area")) == 3
    assert made.table()[1] == (2.0, ("-",))


def test_points_before_the_start_are_not_drawn() -> None:
    made = chart((0.0, 1.0), (60.0, 1.0), axis=TimeAxis(start=50, end=100))
    assert len(paths(made.plot())) == 1
    assert len(made.table()) == 1


def test_without_points_a_chart_is_empty() -> None:
    assert chart().empty
    assert chart().summary == "T, rps: no data yet"
    assert not chart((1.0, 0.0)).empty


def test_a_long_line_keeps_its_peak() -> None:
    points: Sequence[tuple[float, float]] = [
        (float(at), 9.0 if at == 777 else 1.0) for at in range(10 * MAX_POINTS)
    ]
    (path,) = paths(chart(*points, axis=TimeAxis(end=10 * MAX_POINTS), top=9.0).plot())
    assert path.count("L") < MAX_POINTS
    assert re.search(r" 0\.0L", path)


@pytest.mark.parametrize(
    ("value", "top"),
    [(0, 1), (0.9, 1), (1.01, 1.2), (7, 8), (99, 100), (126, 160), (2100, 2400)],
)
def test_scales_end_at_round_numbers(value: float, top: float) -> None:
    assert nice_ceiling(value) == pytest.approx(top)


def test_a_scale_of_whole_numbers_has_whole_ticks() -> None:
    assert chart((0.0, 3.0), whole=True).ticks == ("4", "2", "0")


def test_the_complete_picture_is_well_formed_and_escaped() -> None:
    made = chart(
        (0.0, 1.0),
        (4.0, 4.0),
        title="Workers <all>",
        level=(3.0, "static"),
        marks=(Mark(time=41, kind="decision", text='ScaledUp: 4 > 1 & "why"'),),
    )
    root = ET.fromstring(made.svg())  # noqa: S314 - our own output
    assert [each.text for each in root.iter("title")] == ['ScaledUp: 4 > 1 & "why"']
    assert {"busy & late", "Workers <all>, rps", "static: 3 rps", "1:30"} <= texts(made.svg())


def test_times_are_minutes_of_a_short_run_and_hours_of_a_long_one() -> None:
    assert {"0:00", "0:30"} <= texts(chart((0.0, 1.0), axis=TimeAxis(end=180)).svg())
    day = texts(chart((0.0, 1.0), axis=TimeAxis(end=86_400)).svg())
    assert {"0:00", "3:00", "24:00"} <= day


def test_the_style_loads_nothing_from_elsewhere() -> None:
    assert not re.search(r"https?://|@import|url\(", stylesheet())


def test_a_sparkline_keeps_its_peak_and_its_size() -> None:
    points = sparkline([0.0] * 500 + [10.0] + [0.0] * 500)
    assert len(points.split()) <= 48
    assert re.search(r",1\.0\b", points)
    assert sparkline([1.0]) == ""
