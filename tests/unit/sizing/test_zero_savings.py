"""What zero would save, and time without a pod in the usage."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiapi_operator.sizing.asleep import asleep
from aiapi_operator.sizing.learners.usage import Usage
from aiapi_operator.sizing.learners.usage import asleep as usage_asleep
from aiapi_operator.sizing.state import State
from aiapi_operator.sizing.zero_savings import ZeroSavings, watch

AFTER, GRACE, TICK = 300.0, 30.0, 2.0


def watched(
    arrivals: list[float], end: float, unknown: tuple[float, float] = (0, 0)
) -> ZeroSavings:
    """Look every two seconds; requests take no time."""
    known, now = ZeroSavings(), 0.0
    while now <= end:
        last = max((at for at in arrivals if at <= now), default=0.0)
        idle = None if unknown[0] <= now < unknown[1] else now - last
        known = watch(known, after=AFTER, grace=GRACE, idle=idle, now=now)
        now += TICK
    return known


def test_the_worked_example() -> None:
    found = watched([1200.0], 1200.0)
    assert found.seconds == pytest.approx(1200 - AFTER - GRACE, abs=TICK)
    assert (found.cold_starts, found.sleeping) == (1, False)
    second = watched([1200.0], 2400.0)
    assert second.seconds - found.seconds == pytest.approx(1200 - AFTER - GRACE, abs=TICK)


def test_a_second_wake_up_within_an_hour_doubles_the_wait() -> None:
    twice, further = watched([1200.0, 2400.0], 2400.0), watched([1200.0, 2400.0], 3600.0)
    assert twice.cold_starts == 2
    assert further.seconds - twice.seconds == pytest.approx(1200 - 2 * AFTER - GRACE, abs=TICK)


def test_a_busy_fleet_saves_nothing() -> None:
    assert watched([100.0 * each for each in range(40)], 4000.0).seconds == 0.0


def test_unknown_is_never_idle() -> None:
    assert watched([], 2000.0, unknown=(0.0, 3000.0)).seconds == 0.0
    found = watched([], 2000.0, unknown=(1000.0, 1200.0))
    assert found.seconds == pytest.approx(2000 - AFTER - GRACE - 200, abs=2 * TICK)
    assert found.cold_starts == 0


@given(arrivals=st.lists(st.floats(0.0, 7000.0), max_size=12))
def test_no_more_is_saved_than_was_quiet(arrivals: list[float]) -> None:
    found = watched(sorted(arrivals), 7000.0)
    edges = [0.0, *sorted(arrivals), 7000.0]
    gaps = [late - early for early, late in pairwise(edges)]
    most = sum(max(0.0, gap - AFTER - GRACE) for gap in gaps)
    assert 0.0 <= found.seconds <= most + TICK * len(edges)
    assert found.cold_starts <= len(arrivals)


def test_time_asleep_costs_nothing() -> None:
    known = Usage(seconds=100.0, worker_seconds=200.0, pod_seconds=100.0, missed_seconds=5.0)
    found = usage_asleep(known, 50.0)
    assert found == Usage(
        seconds=150.0, worker_seconds=200.0, pod_seconds=100.0, missed_seconds=5.0
    )
    assert usage_asleep(None, 50.0).seconds == 50.0
    assert usage_asleep(known, -1.0) == known


def test_the_state_moves_on_while_asleep() -> None:
    state = State(now=100.0, memory={Usage: Usage(seconds=10.0, pod_seconds=10.0)})
    found = asleep(asleep(state, 150.0), 160.0)
    assert found.now == 160.0
    assert found.memory[Usage] == Usage(seconds=70.0, pod_seconds=10.0)
    assert asleep(found, 150.0) is found
    assert asleep(State(), 10.0) == State()
