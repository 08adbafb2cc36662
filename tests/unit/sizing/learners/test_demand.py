"""Demand: its level, bursts and trends, and what chance explains."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.sizing.fleet_model import spec
from unit.sizing.samples import facts, row, tick

from aiapi_operator.sizing.learners.daily_profile import JUMPS, DailyProfile
from aiapi_operator.sizing.learners.demand import (
    MOST_DISPERSION,
    Demand,
    dispersion,
    expected,
    learn,
)
from aiapi_operator.sizing.state import Tick


def found(*ticks: Tick) -> Demand:
    seen = learn(None, facts(ticks))
    assert seen is not None
    return seen


def changed(before: float, after: float = 100.0) -> tuple[Tick, ...]:
    """54 s at one rate, and 6 s at another."""
    return (*row(27, arrivals=before), *row(3, start=54.0, arrivals=after))


def test_the_worked_example_of_the_level() -> None:
    # 600 requests in 6 s are 100 +- 4 per second: two sigmas less would be 92.
    assert found(*changed(94.0)).level == pytest.approx(94.6)
    assert found(*changed(70.0)).level == pytest.approx(91.8, abs=0.1)
    fallen = found(*changed(160.0))
    assert fallen.level == pytest.approx(112.2, abs=0.1), "three sigmas more"


def test_a_steady_load_uses_the_long_window() -> None:
    steady = found(*changed(98.0))
    assert (steady.level, steady.burst) == (pytest.approx(98.2), False)


def test_under_a_request_per_second_one_more_is_no_contradiction() -> None:
    rare = (*row(27, arrivals=0.0), *row(3, start=54.0, arrivals=0.5))
    assert found(*rare).level == pytest.approx(0.05)


def test_the_worked_example_of_a_burst() -> None:
    burst = found(*row(29, arrivals=20.0), tick(60.0, arrivals=120.0))
    assert burst == Demand(level=120.0, slope=0.0, burst=True)


def test_noise_is_not_a_burst() -> None:
    assert not found(*row(29, arrivals=2.0), tick(60.0, arrivals=5.0)).burst
    assert not found(*row(29, arrivals=100.0), tick(60.0, arrivals=145.0)).burst


def test_a_ramp_has_a_slope_and_a_step_has_none() -> None:
    ramp = tuple(tick(2.0 * i, arrivals=500.0 + 10 * i) for i in range(1, 31))
    assert found(*ramp).slope == pytest.approx(5.0, abs=2.5)
    step = tuple(tick(2.0 * i, arrivals=500.0 if i < 12 else 700.0) for i in range(1, 31))
    assert found(*step).slope == 0.0
    fall = tuple(tick(2.0 * i, arrivals=900.0 - 10 * i) for i in range(1, 31))
    assert found(*fall).slope == 0.0


def test_noise_has_no_slope() -> None:
    # 100 requests per second vary by 7 in a tick of 2 s: this rises by less than that.
    noise = tuple(tick(2.0 * i, arrivals=100.0 + 0.1 * i) for i in range(1, 31))
    assert found(*noise).slope == 0.0


def test_the_expected_demand_has_headroom_and_is_bounded() -> None:
    rising, steep = Demand(level=100.0, slope=0.5), Demand(level=100.0, slope=50.0)
    assert expected(facts(known=(rising,)), 35.0) == pytest.approx(121.0, abs=0.1)
    most = 200 * 1.03
    assert expected(facts(known=(steep,)), 35.0) == pytest.approx(most)


def test_without_a_demand_the_arrivals_of_six_seconds_count() -> None:
    assert expected(facts(changed(20.0)), 35.0) == 100.0


def test_a_daily_jump_within_the_lead_is_expected() -> None:
    jumps = (0.0,) * 17 + (0.693, 1.386) + (0.0,) * 29
    profile = DailyProfile(jumps=jumps, seen=2 * JUMPS, error=0.0, error_without=2.0)
    known = (profile, Demand(level=100.0))
    near = spec(time_of_day=9 * 3600.0 - 30)
    assert expected(facts(user_spec=near, known=known), 20.0) == pytest.approx(103.0)
    assert expected(facts(user_spec=near, known=known), 35.0) == pytest.approx(412.0, abs=0.2)


def test_clumped_arrivals_disperse_more_than_independent_ones() -> None:
    assert dispersion(row(), 100.0) == 1.0
    clumps = tuple(tick(2.0 * i, arrivals=107.0 if i % 2 else 93.0) for i in range(1, 31))
    assert dispersion(clumps, 100.0) == pytest.approx(2.0, abs=0.05), "neighbours 28 apart"
    wild = tuple(tick(2.0 * i, arrivals=300.0 if i % 2 else 0.0) for i in range(1, 31))
    assert dispersion(wild, 150.0) == MOST_DISPERSION
    assert dispersion(wild[:7], 150.0) == 1.0, "too few to say"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1000), min_size=1, max_size=30), st.floats(1, 5), st.floats(0, 120))
def test_more_arrivals_are_never_less_demand(rates: list[float], more: float, lead: float) -> None:
    few = tuple(tick(2.0 * i, arrivals=rate) for i, rate in enumerate(rates, start=1))
    many = tuple(replace(each, arrivals=each.arrivals * more) for each in few)
    low, high = (expected(facts(ticks, known=(found(*ticks),)), lead) for ticks in (few, many))
    assert high >= low * 0.999
