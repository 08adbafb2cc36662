"""Queueing: the queueing time for loops relative to the model."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.sizing.fleet_model import spec
from unit.sizing.samples import facts, tick

from aiapi_operator.sizing.capacity import UtilizationTarget
from aiapi_operator.sizing.inputs import LatencyObjective
from aiapi_operator.sizing.learners.base_latency import BaseLatency
from aiapi_operator.sizing.learners.failures import Failures
from aiapi_operator.sizing.learners.queueing import (
    LEARNER,
    Queueing,
    learn,
    planned,
    restore,
)
from aiapi_operator.sizing.learners.service_demand import ServiceDemand
from aiapi_operator.sizing.state import Tick

K = 0.05991
"""20 ms at p95."""
BASE = BaseLatency(percentile=95, current=0.53, calm=0.53, time=0.0)


def at(rho: float, p95: float, *, count: int = 15, start: float = 0.0, **changes: Any) -> Any:
    """Ticks of 10 workers whose p95 is ``p95``: 5 % of the requests are above it."""
    usual: dict[str, Any] = {
        "loop": 10 * rho,
        "workers": 10.0,
        "bounds": (p95 - 0.001, p95 + 0.001, 60.0),
        "counts": (940, 20, 40, 0),
        # Upstreams do not explain the latency.
        "in_flight": 90.0,
        "upstream": 50.0,
    }
    return tuple(tick(start + 2.0 * i, **(usual | changes)) for i in range(1, count + 1))


def after(
    ticks: tuple[Tick, ...],
    last: Queueing | None = None,
    *,
    base: BaseLatency = BASE,
    target: float = 0.74,
    threshold: float = 0.8,
    known: tuple[Any, ...] = (),
) -> Queueing:
    assumed = (base, ServiceDemand(seconds=0.02, requests=5000), UtilizationTarget(target))
    objective = LatencyObjective(percentile=95, threshold=threshold)
    user_spec = spec(objective=objective)
    return learn(last, facts(ticks, user_spec=user_spec, known=(*assumed, *known)))


def unread(found: Queueing) -> bool:
    return found == replace(Queueing(), time=found.time)


def test_the_worked_example() -> None:
    # 250 ms over the base, of which 60 x 2.85 = 171 ms are the assumed queue's.
    unsure = Queueing(factor=1.0, seconds=1e-9)
    found = after(at(0.74, 0.78), unsure)
    assert found.learned
    assert found.factor == pytest.approx(1 + (1.464 - 1) / 2, abs=0.01), (
        "at most half of it in one step"
    )


def test_q_converges_to_the_measurement_with_its_variance() -> None:
    found = Queueing()
    for turn in range(120):
        found = after(at(0.74, 0.70, start=10.0 * turn), found)
    assert found.factor == pytest.approx(0.17 / (K * 2.846), rel=0.05)
    assert found.seconds == 300.0
    assert planned(facts(known=(found,))) == pytest.approx(found.factor, rel=0.1), "readings agree"


def test_without_a_reading_the_first_value_has_a_margin() -> None:
    assert planned(facts()) == pytest.approx(1.5 * 1.2)


def test_readings_are_at_least_six_seconds_apart() -> None:
    first = after(at(0.74, 0.85))
    assert after(at(0.74, 0.85, start=4.0), first) is first
    assert after(at(0.74, 0.85, start=6.0), first) != first


@pytest.mark.parametrize(
    ("ticks", "assumed"),
    [
        pytest.param(
            (*at(0.74, 0.9, count=4), *at(0.95, 0.9)[4:8], *at(0.74, 0.9)[8:]),
            {},
            id="loops were full a moment ago",
        ),
        pytest.param(at(0.82, 0.9), {}, id="loops are busier than planned by far"),
        pytest.param(at(0.74, 0.9, count=8), {}, id="too few seconds"),
        pytest.param(at(0.74, 0.9, counts=()), {}, id="nothing was counted"),
        pytest.param(at(0.74, 0.9, contended=True), {}, id="workers wait for CPU"),
        pytest.param(
            at(0.74, 0.9), {"base": replace(BASE, moved=20.0)}, id="an upstream has just changed"
        ),
        pytest.param(
            at(0.74, 0.9),
            {"base": replace(BASE, current=0.73)},
            id="the base is near the objective",
        ),
        pytest.param(
            at(0.74, 0.9), {"known": (Failures(usual=0.0, level=9.0),)}, id="requests fail"
        ),
        pytest.param(
            at(0.74, 1.9, in_flight=182.0, upstream=180.0), {}, id="upstreams explain the latency"
        ),
    ],
)
def test_unusable_readings_change_nothing(ticks: tuple[Tick, ...], assumed: dict) -> None:
    assert unread(after(ticks, **assumed))


def test_the_same_readings_without_these_reasons_count() -> None:
    assert not unread(after(at(0.74, 0.9)))


def test_less_busy_loops_weigh_less() -> None:
    half = after(at(0.5, 0.53 + 2 * K), threshold=9.0)
    full = after(at(0.74, 0.53 + 2 * K * 0.74 / 0.26), threshold=9.0)
    assert 1.5 < half.factor < full.factor


def test_a_missed_objective_counts_three_times() -> None:
    sure = Queueing(seconds=200.0)
    met = after(at(0.74, 0.85, in_flight=90.0, upstream=50.0), sure, threshold=0.9)
    missed = after(at(0.74, 0.85, in_flight=90.0, upstream=50.0), sure)
    assert 2.5 < (missed.factor - 1.5) / (met.factor - 1.5) < 3


def test_uneven_load_is_accounted_for() -> None:
    waits = {"in_flight": 90.0, "upstream": 50.0}
    even = after(at(0.74, 0.85, **waits))
    assert after(at(0.74, 0.85, uneven=1.05, **waits)).factor < even.factor


@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.floats(0.01, 50), st.floats(1, 20)), min_size=1, max_size=20
    ),
    st.floats(0.3, 0.8),
    st.floats(0, 0.72),
)
def test_it_stays_within_its_bounds(
    seen: list[tuple[float, float, float]], target: float, base: float
) -> None:
    found = Queueing()
    for turn, (rho, p95, uneven) in enumerate(seen):
        ticks = at(rho, p95, uneven=uneven, start=10.0 * turn)
        found = after(ticks, found, target=target, base=replace(BASE, current=base))
        assert 0.5 <= found.factor <= 3.0
        assert 0 <= found.variance <= 6.0**2
        assert found.seconds <= 300.0


def test_a_learned_factor_is_restored() -> None:
    found = Queueing(factor=2.4, variance=0.1, seconds=200.0, learned=True)
    assert restore(LEARNER.checkpoint(found, {})) == Queueing(factor=2.4, learned=True)
    assert LEARNER.checkpoint(Queueing(), {}) == {}, "nothing was learned yet"


@pytest.mark.parametrize("value", [None, "", "much", "nan", 0, "0.4", "3.1", "inf", [], {}])
def test_a_senseless_checkpoint_is_ignored(value: object) -> None:
    assert restore({"queueingFactor": value}) is None
