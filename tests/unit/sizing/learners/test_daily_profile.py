"""The daily profile: it predicts daily jumps and nothing else."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from math import exp, inf, log, nan
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.sizing.fleet_model import FleetModel, spec
from unit.sizing.samples import facts, tick

from aiapi_operator.sizing.decide import decide
from aiapi_operator.sizing.learners.daily_profile import (
    JUMPS,
    LEARNER,
    DailyProfile,
    learn,
    learn_jump,
    ratio,
    restore,
    skill,
)
from aiapi_operator.sizing.learners.demand import Demand, expected

HOUR, DAY = 3600.0, 86_400.0
NINE = 9 * HOUR
UNKNOWN = DailyProfile()
Rate = Callable[[float], float]


def office(at: float) -> float:
    """160 rps from nine to five, 40 otherwise."""
    return 160.0 if 9 * HOUR <= at % DAY < 17 * HOUR else 40.0


def slot(known: DailyProfile, number: int, mean: float, before: float | None) -> DailyProfile:
    """The profile after five minutes with ``mean`` per second."""
    seconds = 300.0
    begun = replace(known, slot=number, seconds=seconds, requests=mean * seconds, before=before)
    return learn_jump(begun)


def after(days: float, rate: Rate, known: DailyProfile = UNKNOWN, *, seed: int = 1) -> DailyProfile:
    """The profile after ``days`` in which each five minutes vary by 5 %."""
    chance = Random(seed)  # noqa: S311 - no secret
    rates = [rate(number * 300.0) * exp(chance.gauss(0, 0.05)) for number in range(int(days * 288))]
    for number, (before, mean) in enumerate(pairwise(rates), start=1):
        known = slot(known, number, mean, before)
    return known


def ahead(known: DailyProfile, at: float, lead: float) -> float:
    """What demand is multiplied by ``lead`` seconds after ``at``."""
    return ratio(facts(user_spec=spec(time_of_day=at), known=(known,)), lead)


def test_the_worked_example_of_learning() -> None:
    jumps = (0.0,) * 18 + (1.386,) + (0.0,) * 29
    known = DailyProfile(jumps=jumps, seen=10 * JUMPS)
    holiday = slot(known, 9 * 12, 40.0, 40.0)
    assert holiday.jumps[18] == pytest.approx(1.386 - 0.3 * 0.693, abs=0.001)
    first = slot(UNKNOWN, 9 * 12, 160.0, 40.0)
    assert first.jumps[18] == pytest.approx(log(4)), "the first day is taken as it is"
    second = slot(replace(first, seen=JUMPS), 9 * 12, 40.0, 40.0)
    assert second.jumps[18] == pytest.approx(1.386 - 0.5 * 0.693, abs=0.001)


def test_a_jump_is_learned_and_predicted_up_to_four_times() -> None:
    assert slot(UNKNOWN, 9 * 12, 4000.0, 40.0).jumps[18] == pytest.approx(log(4))
    assert slot(UNKNOWN, 9 * 12, 40.0, 4000.0).jumps[18] == pytest.approx(-log(4))
    jumps = (0.0,) * 18 + (1.3, 1.3) + (0.0,) * 28
    known = DailyProfile(jumps=jumps, seen=96, error=0.0, error_without=2.0)
    assert ahead(known, NINE - 1, 1.0) == pytest.approx(exp(1.3))
    assert ahead(known, NINE - 1, 1801.0) == 4.0


def test_the_worked_example_of_the_skill() -> None:
    jumps = (0.0,) * 18 + (1.386,) + (0.0,) * 29
    known = DailyProfile(jumps=jumps, seen=96, error=0.245, error_without=2.04)
    assert skill(known) == pytest.approx(0.88, abs=0.001)
    assert ahead(known, NINE - 1, 3.0) == pytest.approx(exp(0.88 * 1.386), abs=0.001)


def test_a_daily_jump_is_predicted_when_the_lead_time_crosses_it() -> None:
    known = after(2, office)
    assert known.jumps[18] == pytest.approx(log(4), abs=0.15)
    assert known.jumps[34] == pytest.approx(-log(4), abs=0.15)
    assert skill(known) > 0.85
    before = 5 * DAY + NINE - 40
    assert ahead(known, before, 39.0) == 1.0
    assert ahead(known, before, 40.0) == pytest.approx(3.5, abs=0.5)
    assert ahead(known, 5 * DAY + NINE, 60.0) == 1.0


def test_a_predicted_fall_is_ignored() -> None:
    assert ahead(after(2, office), 17 * HOUR - 10, 60.0) == 1.0


def test_the_lead_time_may_cross_midnight() -> None:
    known = after(3, lambda at: 100.0 if at % DAY < HOUR else 50.0)
    assert ahead(known, DAY - 10, 30.0) > 1.4


@pytest.mark.parametrize("days", [0, 0.5, 1, 1.2])
def test_nothing_is_predicted_without_skill(days: float) -> None:
    assert ahead(after(days, office), NINE - 10, 60.0) == 1.0


@pytest.mark.parametrize("seed", range(5))
def test_chance_has_no_skill(seed: int) -> None:
    known = after(4, lambda _: 100.0, seed=seed)
    assert ahead(known, NINE - 10, 60.0) < 1.01


def test_one_unusual_day_does_not_dominate() -> None:
    known = after(5, office)
    strange = after(1, lambda at: 0.0 if 8 * HOUR <= at < 12 * HOUR else 40.0, known)
    assert strange.jumps[18] > 0.8 * known.jumps[18]
    assert -0.25 < strange.jumps[16] < 0.0
    assert ahead(after(1, office, strange), NINE - 10, 30.0) > 1.5


def test_a_day_with_half_of_the_requests_changes_nothing() -> None:
    known = after(3, office)
    sunday = after(1, lambda at: office(at) / 2, known)
    assert skill(sunday) > 0.9
    assert sunday.jumps[18] == pytest.approx(known.jumps[18], abs=0.1)


def test_a_jump_that_ends_for_good_is_forgotten_in_days() -> None:
    known = after(5, lambda _: 100.0, after(5, office))
    assert ahead(known, NINE - 10, 30.0) < 1.05


SLOT = 300.0
TEN = DailyProfile(slot=100, seconds=300.0, requests=3000.0, before=5.0)


@pytest.mark.parametrize(
    ("at", "current", "known"),
    [
        # The same slot, the next one, and one after a gap or a clock that went back.
        (100 * SLOT + 9, TEN, replace(TEN, seconds=302.0, requests=3200.0)),
        (101 * SLOT, TEN, DailyProfile(slot=101, seconds=2.0, requests=200.0, before=10.0)),
        (102 * SLOT, TEN, DailyProfile(slot=102, seconds=2.0, requests=200.0)),
        (99 * SLOT, TEN, DailyProfile(slot=99, seconds=2.0, requests=200.0)),
        # Too few samples.
        (
            101 * SLOT,
            replace(TEN, seconds=149.0),
            DailyProfile(slot=101, seconds=2.0, requests=200.0),
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
    at: float | None, current: DailyProfile, known: DailyProfile
) -> None:
    assert learn(current, facts((tick(2.0),), user_spec=spec(time_of_day=at))) == known


def test_less_than_one_request_per_second_is_not_a_jump() -> None:
    assert slot(UNKNOWN, 108, 0.9, 0.0).jumps == (0.0,) * JUMPS


def test_only_half_hours_are_learned() -> None:
    assert slot(UNKNOWN, 107, 160.0, 40.0).jumps == ()
    assert slot(UNKNOWN, 108, 160.0, None).jumps == (), "what came before is not known"


def test_it_is_restored() -> None:
    known = after(2, office)
    found = restore(LEARNER.checkpoint(known, {}))
    assert found is not None
    assert found.seen == known.seen
    assert found.jumps == pytest.approx(known.jumps, abs=0.0051)
    assert skill(found) == pytest.approx(skill(known), abs=0.01)
    assert LEARNER.checkpoint(UNKNOWN, {}) == {}


def test_a_profile_is_written_again_after_a_quarter_of_a_day() -> None:
    known = after(2, office)
    written = LEARNER.checkpoint(known, {})
    later = replace(known, seen=known.seen + 11, error=9.0)
    assert LEARNER.checkpoint(later, written) == written
    assert LEARNER.checkpoint(replace(later, seen=known.seen + 12), written) != written


numbers = st.floats(allow_nan=True, allow_infinity=True)
texts = st.one_of(numbers.map(str), st.integers(-5, 10**20), st.none(), st.text(max_size=9))
saved_profiles = st.fixed_dictionaries(
    {
        "jumps": st.one_of(
            st.lists(numbers, min_size=JUMPS, max_size=JUMPS).map(
                lambda jumps: " ".join(map(str, jumps))
            ),
            st.lists(st.integers(-200, 200), min_size=JUMPS, max_size=JUMPS).map(
                lambda jumps: " ".join(map(str, jumps))
            ),
            texts,
        ),
        "seen": st.one_of(texts, st.integers(0, 10**5)),
        "errors": texts,
        "errorsWithout": texts,
    }
)


@settings(max_examples=100, deadline=None)
@given(saved_profiles, numbers, st.floats(0, 1e6), st.floats(0, 1e4), st.floats(0, 10))
def test_any_profile_only_adds_bounded_demand(
    saved: dict[str, Any], at: float, lead: float, level: float, slope: float
) -> None:
    def demand(*known: object, times: float = 1.0) -> float:
        seen = Demand(level=level * times, slope=slope)
        return expected(facts(user_spec=spec(time_of_day=at), known=(*known, seen)), lead)

    profile = restore({"profile": saved})
    if profile is None:
        return
    assert 1.0 <= ahead(profile, at, lead) <= 4.0
    assert demand() <= demand(profile) <= 4.12 * level * 1.0001
    assert demand(profile, times=1.1) >= demand(profile)


@settings(max_examples=50, deadline=None)
@given(saved_profiles, st.floats(0, 1e9), st.floats(0, 1e9))
def test_learning_continues_from_any_restored_profile(
    saved: dict[str, Any], mean: float, before: float
) -> None:
    found = slot(restore({"profile": saved}) or UNKNOWN, 108, mean, before)
    assert len(found.jumps) == JUMPS
    assert all(abs(jump) <= 1.05 * log(4.0) for jump in found.jumps)
    assert 0 <= skill(found) <= 1


def morning(known: DailyProfile) -> FleetModel:
    """A fleet at ten to nine."""
    model = FleetModel(spec())
    model.state = replace(model.state, memory={DailyProfile: known})
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
def test_more_arrivals_never_need_fewer_workers_before_a_jump(more: float, early: float) -> None:
    model = FleetModel(spec())
    model.run(30)
    model.serve(2)
    state = replace(model.state, memory={**model.state.memory, DailyProfile: after(2, office)})
    user_spec = replace(spec(), time_of_day=NINE - early)
    low = decide(user_spec, model.fleet(), state, model.now)
    high = decide(user_spec, model.busier(more), state, model.now)
    assert high.need.demand >= low.need.demand
    assert high.need.workers >= low.need.workers
