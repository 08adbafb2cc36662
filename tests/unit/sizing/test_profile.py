"""The daily profile: it predicts daily jumps and nothing else."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from math import exp, inf, log, nan
from random import Random

import pytest
from aiapi_operator.sizing.demand import Demand
from aiapi_operator.sizing.profile import FLAT, JUMPS, SLOT, UNKNOWN, forecast, learn, skill
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.sizing.fleet_model import FleetModel, spec
from unit.sizing.test_estimators import tick

from aiapi_operator.sizing import profile
from aiapi_operator.sizing.decide import decide
from aiapi_operator.sizing.state import Profile, ProfileSlot

HOUR, DAY = 3600.0, 86_400.0
NINE = 9 * HOUR
Rate = Callable[[float], float]


def office(at: float) -> float:
    """160 rps from nine to five, 40 otherwise."""
    return 160.0 if 9 * HOUR <= at % DAY < 17 * HOUR else 40.0


def after(days: float, rate: Rate, known: Profile = UNKNOWN, *, seed: int = 1) -> Profile:
    """The profile after ``days`` in which each five minutes vary by 5 %."""
    chance = Random(seed)  # noqa: S311 - no secret
    rates = [rate(slot * SLOT) * exp(chance.gauss(0, 0.05)) for slot in range(int(days * 288))]
    for slot, (before, mean) in enumerate(pairwise(rates), start=1):
        seen = ProfileSlot(number=slot, seconds=SLOT, requests=mean * SLOT, before=before)
        known = learn(known, seen)
    return known


def test_a_daily_jump_is_predicted_when_the_lead_time_crosses_it() -> None:
    known = after(2, office)
    assert known.jumps[18] == pytest.approx(log(4), abs=0.15)
    assert known.jumps[34] == pytest.approx(-log(4), abs=0.15)
    assert skill(known) > 0.85
    before = forecast(known, at=5 * DAY + NINE - 40)
    assert before.ratio(39.0) == 1.0
    assert before.ratio(40.0) == pytest.approx(3.5, abs=0.5)
    assert forecast(known, at=5 * DAY + NINE).ratio(60.0) == 1.0


def test_the_example_of_the_module() -> None:
    known = Profile(jumps=(0.0,) * 18 + (1.386,) + (0.0,) * 29, seen=96, off=0.245, moved=2.04)
    assert skill(known) == pytest.approx(0.88, abs=0.001)
    small = replace(known, jumps=tuple(jump / 2 for jump in known.jumps))
    assert forecast(small, at=NINE - 1).ratio(3.0) == pytest.approx(exp(0.88 * 0.693), abs=0.001)


def test_a_predicted_fall_is_ignored() -> None:
    assert forecast(after(2, office), at=17 * HOUR - 10).ratio(60.0) == 1.0


def test_the_lead_time_may_cross_midnight() -> None:
    def nightly(at: float) -> float:
        return 100.0 if at % DAY < HOUR else 50.0

    known = after(3, nightly)
    assert forecast(known, at=DAY - 10).ratio(30.0) > 1.4


@pytest.mark.parametrize("days", [0, 0.5, 1, 1.2])
def test_nothing_is_predicted_without_skill(days: float) -> None:
    assert forecast(after(days, office), at=NINE - 10) == FLAT


@pytest.mark.parametrize("seed", range(5))
def test_chance_has_no_skill(seed: int) -> None:
    known = after(4, lambda _: 100.0, seed=seed)
    assert forecast(known, at=NINE - 10).ratio(60.0) < 1.01


def test_one_unusual_day_does_not_dominate() -> None:
    known = after(5, office)
    strange = after(1, lambda at: 0.0 if 8 * HOUR <= at < 12 * HOUR else 40.0, known)
    assert strange.jumps[18] > 0.8 * known.jumps[18]
    assert -0.25 < strange.jumps[16] < 0.0
    back = after(1, office, strange)
    assert forecast(back, at=NINE - 10).ratio(30.0) > 1.5


def test_a_day_with_half_of_the_requests_changes_nothing() -> None:
    known = after(3, office)
    sunday = after(1, lambda at: office(at) / 2, known)
    assert skill(sunday) > 0.9
    assert sunday.jumps[18] == pytest.approx(known.jumps[18], abs=0.1)


def test_a_jump_that_ends_for_good_is_forgotten_in_days() -> None:
    known = after(5, lambda _: 100.0, after(5, office))
    assert forecast(known, at=NINE - 10).ratio(30.0) < 1.05


TEN = ProfileSlot(number=100, seconds=300.0, requests=3000.0, before=5.0)


@pytest.mark.parametrize(
    ("at", "current", "known"),
    [
        # The same slot, the next one, and one after a gap or a clock that went back.
        (100 * SLOT + 9, TEN, ProfileSlot(number=100, seconds=302.0, requests=3200.0, before=5.0)),
        (101 * SLOT, TEN, ProfileSlot(number=101, seconds=2.0, requests=200.0, before=10.0)),
        (102 * SLOT, TEN, ProfileSlot(number=102, seconds=2.0, requests=200.0)),
        (99 * SLOT, TEN, ProfileSlot(number=99, seconds=2.0, requests=200.0)),
        # Too few samples.
        (
            101 * SLOT,
            replace(TEN, seconds=149.0),
            ProfileSlot(number=101, seconds=2.0, requests=200.0),
        ),
        # No time of day.
        (None, TEN, TEN),
        (nan, TEN, TEN),
        (inf, TEN, TEN),
        (-1.0, TEN, TEN),
        (1e300, TEN, TEN),
    ],
)
def test_ticks_are_counted_by_five_minutes(
    at: float | None, current: ProfileSlot, known: ProfileSlot
) -> None:
    assert profile.add_tick(UNKNOWN, current, tick(2.0, arrivals=100.0), at=at) == (UNKNOWN, known)


def test_less_than_one_request_per_second_is_not_a_jump() -> None:
    seen = ProfileSlot(number=108, seconds=SLOT, requests=0.9 * SLOT, before=0.0)
    assert learn(UNKNOWN, seen).jumps == (0.0,) * JUMPS


numbers = st.floats(allow_nan=True, allow_infinity=True)
any_profile = st.builds(
    Profile,
    jumps=st.one_of(
        st.lists(numbers, min_size=JUMPS, max_size=JUMPS), st.lists(numbers, max_size=3)
    ).map(tuple),
    seen=st.integers(-5, 10**20),
    off=numbers,
    moved=numbers,
)


@settings(max_examples=100, deadline=None)
@given(any_profile, numbers, st.floats(0, 1e6), st.floats(0, 1e4), st.floats(0, 10))
def test_any_profile_only_adds_bounded_demand(
    known: Profile, at: float, lead: float, level: float, slope: float
) -> None:
    found = forecast(profile.sanitized(known), at=at)
    assert 1.0 <= found.ratio(lead) <= 4.0
    plain = Demand(level, slope, 0.1, burst=False)
    added = replace(plain, daily=found)
    assert plain.expected(lead) <= added.expected(lead) <= 4.4 * level * 1.0001
    more = replace(added, level=level * 1.1)
    assert more.expected(lead) >= added.expected(lead)


@settings(max_examples=50, deadline=None)
@given(any_profile, st.floats(0, 1e9), numbers)
def test_learning_continues_from_any_restored_profile(
    known: Profile, mean: float, before: float
) -> None:
    begun = profile.sanitized(known)
    seen = ProfileSlot(number=108, seconds=1.0 * SLOT, requests=mean * SLOT, before=before)
    assert profile.sanitized(learn(begun, seen)) == learn(begun, seen)


def morning(known: Profile) -> FleetModel:
    """A fleet at ten to nine."""
    model = FleetModel(spec())
    model.state = replace(model.state, profile=known)
    model.rate = 40.0
    until(model, NINE - 600, NINE - 60)
    return model


def until(model: FleetModel, start: float, end: float) -> None:
    at = start
    while at < end:
        at += 2.0
        model.spec = replace(model.spec, time_of_day=20 * DAY + at)
        model.run(2.0)


@pytest.mark.property
def test_workers_are_ready_for_a_daily_jump() -> None:
    expecting, unaware = morning(after(2, office)), morning(UNKNOWN)
    assert expecting.size == unaware.size
    for model in (expecting, unaware):
        until(model, NINE - 60, NINE - 2)
    assert expecting.last.need.demand > 3 * unaware.last.need.demand
    assert expecting.size > unaware.size
    assert "is expected within 3 min, as on previous days" in expecting.last.message
    assert "jump" not in unaware.last.message
    ready = expecting.size
    until(expecting, NINE - 2, NINE + 20)
    assert expecting.size >= ready


@settings(max_examples=30, deadline=None)
@given(st.floats(1, 5), st.floats(0, 3))
def test_more_arrivals_never_need_fewer_workers_before_a_jump(more: float, ahead: float) -> None:
    model = FleetModel(spec())
    model.run(30)
    known = replace(model.state, profile=after(2, office))
    user_spec = replace(spec(), time_of_day=NINE - ahead)
    ticks = tuple(replace(one, arrivals=one.arrivals * more) for one in known.ticks)
    low = decide(user_spec, model.fleet(), known, model.now)
    high = decide(user_spec, model.fleet(), replace(known, ticks=ticks), model.now)
    assert high.need.demand >= low.need.demand
    assert high.need.workers >= low.need.workers
