"""The page stands alone, escapes what it is told, and draws what was seen."""

import re
from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from aiapi_demo.chart import Area, Axis, Chart, Line, Mark, nice_ceiling
from aiapi_demo.recording import Recording
from aiapi_demo.summary import DemoReport
from aiapi_demo.timeline import render

AXIS = Axis(end=100, bands=((0, 40, "calm"), (40, 100, "busy & late")))


@pytest.mark.parametrize(
    ("value", "ceiling"),
    [(0, 1), (1, 1), (1.01, 1.2), (7, 8), (126, 160), (840, 1000), (2100, 2400)],
)
def test_scales_end_at_round_numbers(value: float, ceiling: float) -> None:
    assert nice_ceiling(value) == ceiling


def parse(chart: Chart) -> ET.Element:
    return ET.fromstring(chart.svg(AXIS))  # noqa: S314 - our own output


def test_a_chart_is_well_formed_and_escaped() -> None:
    chart = Chart(
        title="Workers <all>",
        unit=" ms",
        series=(Area("serving", "accent", ((0, 1), (50, 4))), Line("wanted", "strong", ())),
        level=(3.0, "static"),
        marks=(Mark(at=41, kind="decision", text='ScaledUp: 4 > 1 & "why"'),),
    )
    root = parse(chart)
    assert [each.text for each in root.iter("title")] == ['ScaledUp: 4 > 1 & "why"']
    assert "busy & late" in {each.text for each in root.iter("text")}


def test_missing_data_leaves_a_gap_instead_of_a_zero() -> None:
    points = ((0, 5.0), (10, 5.0), (20, None), (30, 5.0), (40, 5.0))
    chart = Chart(title="p95", unit="", series=(Line("p95", "accent", points),))
    paths = [each.get("d", "") for each in parse(chart).iter("path")]
    assert [path.count("L") for path in paths] == [1, 1]


def test_the_page_needs_no_network_and_no_script(report: Callable[..., DemoReport]) -> None:
    page = render(report())
    assert not re.search(r"https?://|<script|<link|@import|url\(", page)
    assert "{{" not in page


def test_the_page_tells_decisions_with_reasons_on_hover(
    report: Callable[..., DemoReport], recording: Recording
) -> None:
    recording.changes[0] = replace(recording.changes[0], message="120 rps x <25 ms>")
    page = render(report())
    assert "<title>0:23 ScaledUp: 1 x 2 to 4 x 2 (workers x pods). 120 rps x &lt;25 ms&gt;" in page
    assert "DependencyBound is True. The upstream takes 92 %" in page


def test_the_page_says_what_did_not_hold(report: Callable[..., DemoReport]) -> None:
    assert "All that the demo promises held." in render(report())
    assert "<li>it &lt;rained&gt;</li>" in render(report(("it <rained>",)))
