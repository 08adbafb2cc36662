"""The content of the pages."""

from dataclasses import replace

from console_support.fixtures import SPEC, ConsoleWorld, decision, manifest, savings, seen

from aiapi_operator.api.summary import from_manifest
from aiapi_operator.console.detail import detail
from aiapi_operator.console.overview import ROWS_PER_PAGE, overview
from aiapi_operator.console.tiles import tiles
from aiapi_operator.present.chart import runs
from aiapi_operator.sizing.inputs import LatencyObjective, ObjectiveKind
from aiapi_operator.sizing.savings import Withheld


def test_aiapis_that_need_attention_come_first_and_a_page_has_a_hundred_rows() -> None:
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


def test_the_detail_page_has_charts_and_events_for_each_time_range() -> None:
    world = ConsoleWorld()
    world.aiapis = [manifest("assistant")]
    world.live("assistant")
    for time_range in (0, 1, 2):
        page = world.pages.detail(("shop", "assistant"), time_range=time_range)
        assert page is not None
        for text in (
            *("Demand and capacity", "Latency p95", "Failed requests", "Cost", "ScaledUp"),
            "USD per hour",
        ):
            assert text in page, text
    assert world.pages.detail(("shop", "other"), time_range=0) is None


def test_the_lines_of_an_idle_aiapi_are_not_broken() -> None:
    """It has a row for each tick, once a minute."""
    world, key = ConsoleWorld(), ("shop", "assistant")
    for _ in range(20):
        fleet = seen(workers=1, replicas=2)
        world.history.record_decision(key, SPEC, fleet, decision(rps=0, workers=1, replicas=2))
        world.now += 61
    shown = detail(manifest("assistant"), world.history.get(key), time_range=0, now=world.now)
    (arrivals, *_), axis = shown.charts[0].lines, shown.charts[0].axis
    assert [len(each) for each in runs(arrivals.points, axis)] == [14]


def test_without_a_history_the_detail_page_shows_the_status() -> None:
    world = ConsoleWorld(leads=False)
    world.aiapis = [manifest("assistant")]
    page = world.pages.detail(("shop", "assistant"), time_range=0)
    assert page is not None
    assert "118" in page
    assert "a standby replica takes no decisions" in page


def test_an_aiapi_without_a_status_or_without_load_is_shown() -> None:
    world = ConsoleWorld()
    fresh, idle = manifest("fresh"), manifest("idle", load={}, need={}, savings={}, decision={})
    del fresh["status"]
    idle["status"]["conditions"].append({"type": "DependencyBound", "status": "True"})
    world.aiapis = [fresh, idle]
    page = world.pages.overview(query="", sort="", page=1)
    assert "Unknown" in page
    assert "DependencyBound" in page
    for name in ("fresh", "idle"):
        assert "No decision yet." in (world.pages.detail(("shop", name), time_range=0) or "")


FAILING = {
    "type": "RequestsFailing",
    "status": "True",
    "reason": "ServerErrors",
    "message": "100 % of the requests of the last minute failed.",
}


def test_an_aiapi_whose_requests_fail_is_red_and_saves_nothing() -> None:
    world = ConsoleWorld()
    load = {"requestsPerSecond": "3", "failing": "100%"}
    failing = manifest("assistant", load=load, savings={"withheld": "RequestsFailing"})
    failing["status"]["conditions"].append(FAILING)
    world.aiapis = [failing, manifest("other")]
    shown = overview(world.aiapis, world.history, query="", sort="attention", page=1)
    assert (shown.rows[0].state, shown.rows[0].tone) == ("RequestsFailing", "bad")
    assert (shown.totals.attention, shown.totals.withheld) == (1, 1)
    page = world.pages.overview(query="", sort="", page=1)
    assert "100%" in page
    assert "not shown while requests fail" in page
    detail = world.pages.detail(("shop", "assistant"), time_range=0)
    assert detail is not None
    assert 'alert bad"><strong>RequestsFailing' in detail


def test_the_tiles_have_the_errors_and_why_no_saving_is_shown() -> None:
    view = from_manifest(manifest("assistant"))
    world = ConsoleWorld()
    made = decision(rps=20.0, workers=2, replicas=2)
    made = replace(made, load=replace(made.load, failing=0.042))
    withheld = replace(
        savings(38.0), percent=None, per_month=None, withheld=Withheld.OBJECTIVE_MISSED
    )
    fleet = replace(seen(workers=2, replicas=2), savings=withheld)
    world.history.record_decision(("shop", "assistant"), SPEC, fleet, made)
    history = world.history.get(("shop", "assistant"))
    assert history is not None
    shown = {tile.name: tile for tile in tiles(history.current, view)}
    assert shown["Errors"].value == "4.2 %"
    assert (shown["Saved"].value, shown["Saved"].tone) == ("-", "")
    assert shown["Saved"].unit == "not shown while the objective is missed"
    totals = overview([], world.history, query="", sort="", page=1).totals
    assert totals.saved == ()


def test_the_first_byte_is_shown_where_it_is_closest_to_being_missed() -> None:
    first = LatencyObjective(percentile=99, threshold=0.3, kind=ObjectiveKind.FIRST_BYTE)
    shown = {"type": "FirstByte", "percentile": "p99", "threshold": "300ms", "measured": "310ms"}
    document = manifest("assistant", objective=shown)
    document["spec"]["objective"] = {"firstByte": {"percentile": 99, "threshold": "300ms"}}
    world = ConsoleWorld()
    world.aiapis = [document]
    assert "310ms<small>p99 first byte ≤ 300ms" in world.pages.overview(query="", sort="", page=1)
    made = decision(rps=20.0, workers=2, replicas=2)
    made = replace(made, load=replace(made.load, first_byte=0.31))
    spec = replace(SPEC, other_objectives=(first,))
    fleet = seen(workers=2, replicas=2)
    world.history.record_decision(("shop", "assistant"), spec, fleet, made)
    history = world.history.get(("shop", "assistant"))
    assert history is not None
    found = {tile.name: tile for tile in tiles(history.current, from_manifest(document))}
    latency = found["Latency p99 first byte"]
    assert (latency.value, latency.unit, latency.tone) == ("310 ms", "objective 300 ms", "bad")


def test_an_aiapi_at_zero_is_asleep_and_not_under_its_last_load() -> None:
    world = ConsoleWorld()
    message = "No pod runs; the next request starts pods and waits for them."
    sleeping = manifest("assistant", load={}, need={}, decision={}, replicas=0, readyReplicas=0)
    sleeping["status"]["activation"] = {"phase": "Asleep", "message": message}
    world.live("assistant")
    world.aiapis = [sleeping]
    (row,) = overview(world.aiapis, world.history, query="", sort="name", page=1).rows
    assert (row.state, row.tone) == ("Asleep", "good")
    assert '<td data-label="Arrivals" class="r">asleep</td>' in world.pages.overview(
        query="", sort="", page=1
    )
    page = world.pages.detail(("shop", "assistant"), time_range=0)
    assert page is not None
    assert '<span class="state">Asleep</span>' in page
    assert f"data-live>{message}</p>" in page
    assert "status, as last written" in page


def test_an_aiapi_that_wakes_is_not_ready_yet_unless_more_is_wrong() -> None:
    world = ConsoleWorld()
    starting = {"type": "Ready", "status": "False", "reason": "PodsStarting", "message": "0 of 1."}
    failing = {"type": "RequestsFailing", "status": "True", "reason": "Shed", "message": "no"}
    for problems, expected in (
        ([starting], ("Waking", "warn")),
        ([starting, failing], ("Not ready", "bad")),
    ):
        waking = manifest("assistant", conditions=problems, activation={"phase": "Waking"})
        (row,) = overview([waking], world.history, query="", sort="name", page=1).rows
        assert (row.state, row.tone) == expected
