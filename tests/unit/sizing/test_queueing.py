"""Queueing: the queueing time for loops relative to the model."""

from dataclasses import replace

import pytest
from aiapi_operator.sizing.queueing import PlanAssumptions
from hypothesis import given
from hypothesis import strategies as st
from unit.sizing.test_capacity import OBJECTIVE
from unit.sizing.test_estimators import tick

from aiapi_operator.sizing import queueing
from aiapi_operator.sizing.state import Queueing, Tick

K = 0.06
UNKNOWN = Queueing()
ASSUMED = PlanAssumptions(
    objective=OBJECTIVE, k=K, base=0.53, since=float("-inf"), utilization=0.74
)


def at(rho: float, p95: float, *, count: int = 15, **changes: object) -> tuple[Tick, ...]:
    """Ticks of 10 workers whose p95 is ``p95``: 5 % of the requests are above it."""
    usual: dict = {
        "loop": 10 * rho,
        "workers": 10.0,
        "bounds": (p95 - 0.001, p95 + 0.001, 60.0),
        "counts": (940, 20, 40, 0),
    }
    return tuple(tick(2.0 * i, **(usual | changes)) for i in range(1, count + 1))


def learn(
    ticks: tuple[Tick, ...], last: Queueing = UNKNOWN, assumed: PlanAssumptions = ASSUMED
) -> Queueing:
    return queueing.learn(last, ticks, assumed, now=ticks[-1].time)


def test_the_worked_example() -> None:
    # 250 ms over the base, of which 60 x 2.85 = 171 ms are the assumed queue's.
    certain = replace(Queueing(), factor=1.0, seconds=1e-9)
    found = learn(at(0.74, 0.78), certain)
    assert found.factor == pytest.approx(1 + (1.464 - 1) / 2, abs=0.01), (
        "at most half of it in one step"
    )


def test_q_converges_to_the_measurement_with_its_variance() -> None:
    found = Queueing()
    for round_ in range(60):
        ticks = tuple(replace(t, time=t.time + 10.0 * round_) for t in at(0.74, 0.70))
        found = learn(ticks, found)
    assert found.factor == pytest.approx(0.17 / (K * 2.846), rel=0.05)
    assert found.seconds == queueing.REMEMBERS
    assert queueing.planned_factor(found) == pytest.approx(found.factor, rel=0.1), "readings agree"
    assert queueing.planned_factor(Queueing()) == pytest.approx(1.5 * 1.2)


@pytest.mark.parametrize(
    ("why", "ticks", "assumed"),
    [
        (
            "loops were full a moment ago",
            (*at(0.74, 0.9, count=4), *at(0.95, 0.9)[4:8], *at(0.74, 0.9)[8:]),
            ASSUMED,
        ),
        ("loops are busier than planned by far", at(0.88, 0.9), ASSUMED),
        ("too few seconds", at(0.74, 0.9, count=8), ASSUMED),
        ("nothing was counted", at(0.74, 0.9, counts=()), ASSUMED),
        ("an upstream has just become slower", at(0.74, 0.9), replace(ASSUMED, since=20.0)),
    ],
)
def test_unusable_readings_change_nothing(
    why: str, ticks: tuple[Tick, ...], assumed: PlanAssumptions
) -> None:
    assert learn(ticks, assumed=assumed) == Queueing(), why


def test_less_busy_loops_weigh_less() -> None:
    assumed = replace(ASSUMED, objective=replace(OBJECTIVE, threshold=9.0))
    half = learn(at(0.5, 0.53 + 2 * K), assumed=assumed)
    full = learn(at(0.74, 0.53 + 2 * K * 0.74 / 0.26), assumed=assumed)
    assert 1.5 < half.factor < full.factor


def test_a_missed_objective_counts_three_times() -> None:
    lenient = replace(ASSUMED, objective=replace(OBJECTIVE, threshold=0.9))
    sure = replace(UNKNOWN, seconds=200.0)
    met = learn(at(0.74, 0.85), sure, lenient)
    missed = learn(at(0.74, 0.85), sure)
    assert 2.5 < (missed.factor - 1.5) / (met.factor - 1.5) < 3


def test_uneven_load_is_accounted_for() -> None:
    even = learn(at(0.74, 0.85))
    uneven = learn(at(0.74, 0.85, uneven=1.05))
    assert uneven.factor < even.factor


@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.floats(0.01, 50), st.floats(1, 20)), min_size=1, max_size=20
    ),
    st.floats(0.3, 0.8),
    st.floats(0, 0.72),
)
def test_it_stays_within_its_bounds(
    seen: list[tuple[float, float, float]], utilization: float, base: float
) -> None:
    found = Queueing()
    assumed = replace(ASSUMED, utilization=utilization, base=base)
    for turn, (rho, p95, uneven) in enumerate(seen):
        ticks = at(rho, p95, uneven=uneven)
        ticks = tuple(replace(t, time=t.time + 10.0 * turn) for t in ticks)
        found = learn(ticks, found, assumed)
        assert queueing.MIN_FACTOR <= found.factor <= queueing.MAX_FACTOR
        assert 0 <= found.variance <= (queueing.MAX_FACTOR / queueing.MIN_FACTOR) ** 2
        assert found.seconds <= queueing.REMEMBERS
