"""Charts, numbers and rows as they are shown."""

import re

import pytest
from console_support.fixtures import ConsoleWorld, manifest

from aiapi_operator.console import figures
from aiapi_operator.console.chart import Frame, Line, draw, nice_ceiling, sparkline
from aiapi_operator.console.overview import ROWS_PER_PAGE, overview


def frame(*times: float) -> Frame:
    return Frame(times=times, start=0.0, end=100.0, seconds=2.0, marks=((50.0, "ScaledUp"),))


def test_a_line_reaches_from_its_first_to_its_last_moment() -> None:
    made = draw(
        frame(0.0, 2.0, 4.0),
        title="T",
        unit="requests/s",
        source="",
        lines=[Line(name="arrivals", tone="a", values=[0.0, 5.0, 9.0])],
        show=figures.number,
    )
    assert made.paths[0].line == "M0.0 200.0L20.0 100.0L40.0 20.0"
    assert made.ticks == ("10", "5", "0")
    assert made.marks == ((500.0, "ScaledUp"),)
    assert made.summary == "T in requests/s: arrivals 9 now, 9 at most"
    assert [values for _, values in made.rows] == [("0",), ("5",), ("9",)]


def test_unknown_numbers_and_silence_leave_gaps() -> None:
    made = draw(
        frame(0.0, 2.0, 4.0, 40.0, 42.0),
        title="T",
        unit="rps",
        source="",
        lines=[Line(name="a", tone="a", values=[1.0, None, 1.0, 1.0, 1.0], filled=True, step=True)],
        show=figures.number,
    )
    assert [path.line.count("M") for path in made.paths] == [1, 1]
    assert made.rows[1][1] == ("-",)


def test_nothing_to_draw_is_told() -> None:
    made = draw(
        frame(),
        title="T",
        unit="rps",
        source="",
        lines=[Line(name="a", tone="a", values=[])],
        show=figures.number,
    )
    assert made.empty
    assert made.summary == "T in rps: no data yet"


@pytest.mark.parametrize(
    ("value", "top"), [(0.0, 1.0), (0.9, 1.0), (1.1, 1.2), (99.0, 100.0), (101.0, 120.0)]
)
def test_scales_end_at_round_numbers(value: float, top: float) -> None:
    assert nice_ceiling(value) == pytest.approx(top)


def test_a_sparkline_keeps_its_peak_and_its_size() -> None:
    points = sparkline([0.0] * 500 + [10.0] + [0.0] * 500)
    assert len(points.split()) <= 48
    assert re.search(r",1\.0\b", points)
    assert sparkline([1.0]) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.0, "0"), (0.1234, "0.123"), (1.5, "1.5"), (42.0, "42"), (12345.6, "12,346")],
)
def test_numbers(value: float | None, text: str) -> None:
    assert figures.number(value) == text


def test_money_has_its_currency() -> None:
    assert figures.money(12.3456, "EUR") == "12.35 EUR"
    assert figures.money(0.08356, "USD") == "0.0836 USD"


def test_what_asks_for_attention_is_first_and_pages_hold_a_hundred() -> None:
    world = ConsoleWorld()
    failing = [{"type": "Ready", "status": "False", "reason": "AppFailed", "message": "no"}]
    world.aiapis = [manifest(f"a{number:03}") for number in range(250)]
    world.aiapis.append(manifest("zz", conditions=failing))
    first = overview(world.aiapis, world.history, query="", sort="attention", page=1)
    assert first.rows[0].view.name == "zz"
    assert (first.rows[0].state, first.rows[0].tone) == ("Not ready", "bad")
    assert (len(first.rows), first.pages, first.totals.attention) == (ROWS_PER_PAGE, 3, 1)
    last = overview(world.aiapis, world.history, query="", sort="name", page=99)
    assert (last.page, len(last.rows)) == (3, 51)
    found = overview(world.aiapis, world.history, query="SHOP/A24", sort="name", page=1)
    assert found.found == 10


def test_one_aiapi_is_told_in_full() -> None:
    world = ConsoleWorld()
    world.aiapis = [manifest("assistant")]
    world.live("assistant")
    for span in (0, 1, 2):
        text = world.pages.detail(("shop", "assistant"), span=span)
        assert text is not None
        for told in ("Demand and capacity", "Latency p95", "Cost", "ScaledUp", "USD an hour"):
            assert told in text, told
    assert world.pages.detail(("shop", "other"), span=0) is None


def test_without_a_history_the_status_speaks() -> None:
    world = ConsoleWorld(leads=False)
    world.aiapis = [manifest("assistant")]
    text = world.pages.detail(("shop", "assistant"), span=0)
    assert text is not None
    assert "118" in text
    assert "no decisions while it stands by" in text


def test_one_without_a_status_or_any_load_is_shown_too() -> None:
    world = ConsoleWorld()
    fresh, idle = manifest("fresh"), manifest("idle", load={}, need={}, savings={}, decision={})
    del fresh["status"]
    idle["status"]["conditions"].append({"type": "DependencyBound", "status": "True"})
    world.aiapis = [fresh, idle]
    text = world.pages.overview(query="", sort="", page=1)
    assert "Not known yet" in text
    assert "DependencyBound" in text
    for name in ("fresh", "idle"):
        assert "No decision was taken yet." in (world.pages.detail(("shop", name), span=0) or "")
