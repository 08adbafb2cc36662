"""The console's history: complete, in order, and bounded."""

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
MAX_BYTES = 200_000
"""Of one AIApi, as documented in docs/console.md."""


def ring(**changes: float) -> RingBuffer:
    return RingBuffer(
        **{"step": 2, "size": 3, **changes},  # type: ignore[arg-type]
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


def test_values_of_one_step_are_merged_and_peaks_kept() -> None:
    one = ring()
    for value in (1.0, 5.0, 2.0):
        one.add(0.5, (value, value))
    assert (one.column(0), one.column(1)) == ([5.0], [2.0])


def test_a_missing_value_is_none_and_is_replaced_by_a_value() -> None:
    one = ring()
    one.add(0.0, (math.nan, math.nan))
    assert one.column(0) == [None]
    one.add(0.5, (3.0, math.nan))
    assert (one.column(0), one.column(1)) == ([3.0], [None])


def test_a_full_ring_merges_at_its_end() -> None:
    full = ring()
    for number in range(3):
        full.add(2.0 * number, (number, 0))
    full.add(5.0, (9, 0))
    full.add(6.0, (7, 0))
    assert full.column(0) == [1, 9, 7]


def test_a_year_takes_no_more_memory_than_a_day() -> None:
    world, fleet = ConsoleWorld(), seen(workers=2, replicas=2)
    base = decision(rps=50.0, workers=2, replicas=2)
    world.history.record_decision(("shop", "first"), SPEC, fleet, base)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(1000):
            # Each step adds a row to every ring, and an event.
            world.now += TIME_RANGES[-1].step
            message = f"{number} " + "x" * 1000
            made = replace(base, workers=2 + number % 2, message=message)
            world.history.record_decision(KEY, SPEC, fleet, made)
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert taken < MAX_BYTES
    recorded = world.history.get(KEY)
    assert recorded is not None
    assert [len(each) for each in recorded.rings] == [each.size for each in TIME_RANGES]
    assert sum(each.max_bytes for each in recorded.rings) < 100_000


def test_aiapis_above_the_limit_have_no_history(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_module, "MAX_AIAPIS", 1)
    limited = History(wall=lambda: NOW)
    for name in ("a", "b"):
        limited.record_decision(
            ("shop", name),
            SPEC,
            seen(workers=2, replicas=2),
            decision(rps=5, workers=2, replicas=2),
        )
    assert limited.get(("shop", "a"))
    assert limited.get(("shop", "b")) is None
    limited.forget(("shop", "a"))
    assert limited.get(("shop", "a")) is None


def events(world: ConsoleWorld) -> list[str]:
    recorded = world.history.get(KEY)
    assert recorded is not None
    return [each.title for each in recorded.events]


def test_resizes_and_unusual_reasons_are_events_and_steady_ticks_are_not() -> None:
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
        world.history.record_decision(KEY, SPEC, seen(workers=2, replicas=2), made)
    assert events(world) == ["Steady", "ScaledUp", "HoldingOnMissingMetrics", "Steady"]
    recorded = world.history.get(KEY)
    assert recorded is not None
    assert recorded.events[1].size == "2 x 2 → 2 x 3"


def test_a_changed_condition_is_one_event() -> None:
    world = ConsoleWorld()
    world.history.record_decision(
        KEY, SPEC, seen(workers=2, replicas=2), decision(rps=5, workers=2, replicas=2)
    )

    def record(kind: str, status: bool | None) -> None:
        condition = Condition(type=kind, status=status, reason="Why", message="What to do.")
        world.history.record_conditions(KEY, [condition])

    for status in (None, False, True, True, None, True, False, False):
        record("DependencyBound", status)
    for status in (True, False, True):
        record("Ready", status)
    assert events(world)[1:] == [
        "DependencyBound",
        "DependencyBound resolved",
        "not Ready",
        "Ready",
    ]
