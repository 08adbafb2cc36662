"""What the console remembers: enough, in order, and within its bounds."""

import math
import tracemalloc
from dataclasses import replace

import pytest
from console_support.fixtures import NOW, SPEC, ConsoleWorld, decision, seen

from aiapi_operator.console import history as history_module
from aiapi_operator.console.history import TIME_RANGES, History
from aiapi_operator.console.ring_buffer import RingBuffer
from aiapi_operator.sizing.decision import Condition, Verdict

KEY = ("shop", "a")
MOST_BYTES = 200_000
"""Of one AIApi, as docs/console.md promises."""


def ring(**changes: float) -> RingBuffer:
    return RingBuffer(
        **{"seconds": 2, "size": 3, **changes},  # type: ignore[arg-type]
        columns=2,
        peaks=frozenset({0}),
    )


def test_a_ring_keeps_the_newest_in_order() -> None:
    full = ring()
    for number in range(7):
        full.add(2.0 * number, (number, 10 * number))
    assert full.times() == [8.0, 10.0, 12.0]
    assert full.column(0) == [4, 5, 6]
    assert len(full) == 3


def test_what_comes_within_one_step_is_folded_peaks_as_peaks() -> None:
    one = ring()
    for value in (1.0, 5.0, 2.0):
        one.add(0.5, (value, value))
    assert (one.column(0), one.column(1)) == ([5.0], [2.0])


def test_no_number_is_none_and_gives_way_to_one() -> None:
    one = ring()
    one.add(0.0, (math.nan, math.nan))
    assert one.column(0) == [None]
    one.add(0.5, (3.0, math.nan))
    assert (one.column(0), one.column(1)) == ([3.0], [None])


def test_a_ring_goes_on_when_folding_at_its_end() -> None:
    full = ring()
    for number in range(3):
        full.add(2.0 * number, (number, 0))
    full.add(5.0, (9, 0))
    full.add(6.0, (7, 0))
    assert full.column(0) == [1, 9, 7]


def test_a_year_takes_no_more_memory_than_a_day() -> None:
    world, told = ConsoleWorld(), seen(workers=2, replicas=2)
    base = decision(rps=50.0, workers=2, replicas=2)
    world.history.decided(("shop", "first"), SPEC, told, base)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(1000):
            # Each step is a new row of every ring, and something that happened.
            world.now += TIME_RANGES[-1].seconds
            message = f"{number} " + "x" * 1000
            made = replace(base, workers=2 + number % 2, message=message)
            world.history.decided(KEY, SPEC, told, made)
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert taken < MOST_BYTES
    story = world.history.story(KEY)
    assert story is not None
    assert [len(each) for each in story.rings] == [span.size for span in TIME_RANGES]
    assert sum(each.most_bytes for each in story.rings) < 100_000


def test_beyond_the_most_aiapis_only_the_present_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_module, "MAX_AIAPIS", 1)
    told = History(wall=lambda: NOW)
    for name in ("a", "b"):
        told.decided(
            ("shop", name),
            SPEC,
            seen(workers=2, replicas=2),
            decision(rps=5, workers=2, replicas=2),
        )
    assert told.story(("shop", "a"))
    assert told.story(("shop", "b")) is None
    told.forget(("shop", "a"))
    assert told.story(("shop", "a")) is None


def happenings(world: ConsoleWorld) -> list[str]:
    story = world.history.story(KEY)
    assert story is not None
    return [each.what for each in story.happenings]


def test_resizes_and_unusual_reasons_happen_and_steady_ticks_do_not() -> None:
    world = ConsoleWorld()
    base = decision(rps=50, workers=2, replicas=2)
    for made in (
        base,
        base,
        replace(base, workers=3, verdict=Verdict.SCALED_UP),
        replace(base, workers=3),
        replace(base, workers=3, verdict=Verdict.STABILIZING),
        replace(base, workers=3, verdict=Verdict.HOLDING),
        replace(base, workers=3, verdict=Verdict.HOLDING),
        replace(base, workers=3),
    ):
        world.now += 2
        world.history.decided(KEY, SPEC, seen(workers=2, replicas=2), made)
    assert happenings(world) == ["Steady", "ScaledUp", "HoldingOnMissingMetrics", "Steady"]
    story = world.history.story(KEY)
    assert story is not None
    assert story.happenings[1].size == "2 x 2 → 2 x 3"


def test_conditions_that_turn_happen_once() -> None:
    world = ConsoleWorld()
    world.history.decided(
        KEY, SPEC, seen(workers=2, replicas=2), decision(rps=5, workers=2, replicas=2)
    )

    def tell(kind: str, status: bool | None) -> None:
        condition = Condition(type=kind, status=status, reason="Why", message="What to do.")
        world.history.diagnosed(KEY, [condition])

    for status in (None, False, True, True, None, True, False, False):
        tell("DependencyBound", status)
    for status in (True, False, True):
        tell("Ready", status)
    assert happenings(world)[1:] == [
        "DependencyBound",
        "DependencyBound is over",
        "not Ready",
        "Ready",
    ]
