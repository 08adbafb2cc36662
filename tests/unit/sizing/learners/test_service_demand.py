"""Service demand: noise, mixes, outliers, idle work, deployments."""

from random import Random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from unit.sizing.fleet_model import FleetModel, spec
from unit.sizing.samples import learned, row, tick

from aiapi_operator.sizing.learners.failures import Failures
from aiapi_operator.sizing.learners.service_demand import (
    LEARNER,
    ServiceDemand,
    learn,
    restore,
)
from aiapi_operator.sizing.state import Tick

EXAMPLES = settings(max_examples=40, deadline=None)


def at(time: float, *, rate: float, loop: float, **changes: object) -> Tick:
    return tick(time, arrivals=rate, completed=rate, loop=loop, busiest=loop / 4, **changes)


def chance(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - a repeatable load, no secret


def stream(
    rng: Random, costs: list[float], *, rate: float, count: int = 30, start: float = 0.0
) -> tuple[Tick, ...]:
    """Random whole requests, each with a random cost of ``costs``."""
    made = []
    for step in range(1, count + 1):
        requests = max(0, round(rng.gauss(2 * rate, (2 * rate) ** 0.5)))
        work = sum(rng.choice(costs) * rng.uniform(0.5, 1.5) for _ in range(requests))
        made.append(at(start + 2.0 * step, rate=requests / 2, loop=min(2.8, work / 2)))
    return tuple(made)


def known(*ticks: Tick, start: ServiceDemand | None = None) -> ServiceDemand:
    found = learned(learn, ticks, start)
    assert found is not None
    return found


def test_the_worked_example() -> None:
    found = known(*row(), start=ServiceDemand(seconds=0.01, idle=0.005))
    assert found.seconds == pytest.approx(0.009)
    assert found.confident


@pytest.mark.parametrize("changes", [{"loop": 0.0}, {"arrivals": 0.0, "completed": 0.0}])
def test_nothing_is_learned_from_requests_without_work_and_work_without_requests(
    changes: dict[str, float],
) -> None:
    assert learned(learn, row(3, **changes)) is None


def test_idle_work_is_learned_without_requests() -> None:
    start = ServiceDemand(seconds=0.01, requests=500.0)
    quiet = row(120, arrivals=0.0, completed=0.0, loop=0.02)
    assert known(*quiet, start=start).idle == pytest.approx(0.005, rel=0.05)
    blocked = row(120, arrivals=0.0, completed=0.0, loop=3.0)
    assert known(*blocked, start=start).idle == pytest.approx(0.02, rel=0.05), "no housekeeping"
    assert learned(learn, quiet) is None


@EXAMPLES
@given(st.integers(0, 10**6), st.floats(0.001, 0.02), st.floats(10, 120))
def test_noise_averages_out(seed: int, cost: float, rate: float) -> None:
    found = known(*stream(chance(seed), [cost], rate=rate))
    assert found.seconds == pytest.approx(cost, rel=0.1)
    assert found.confident


@EXAMPLES
@given(st.integers(0, 10**6), st.floats(2, 100), st.integers(5, 40))
def test_expensive_requests_of_a_mix_count(seed: int, rate: float, factor: int) -> None:
    """One in ten is many times as expensive. A median of ticks would miss it at a low rate."""
    costs = [0.002] * 9 + [0.002 * factor]
    mean = sum(costs) / 10
    found = known(*stream(chance(seed), costs, rate=rate))
    expensive = found.requests / 10
    assert found.seconds == pytest.approx(mean, rel=max(0.25, 4 / expensive**0.5))


def test_one_blocking_handler_does_not_raise_the_service_demand() -> None:
    found = known(*row(29), tick(60.0, loop=4.0, busiest=0.7))
    # It counts as three times the usual cost, and a tick is 200 of about 4,000 requests.
    assert found.seconds == pytest.approx(0.0092, rel=0.12)


def test_a_nearly_idle_tick_does_not_lower_the_service_demand() -> None:
    found = known(*row(29), tick(60.0, loop=0.01))
    assert found.seconds == pytest.approx(0.0092, rel=0.05)


def test_two_blocked_ticks_are_no_deployment_and_three_are() -> None:
    two = known(*row(28), *row(2, start=56.0, loop=2.0))
    three = known(*row(28), *row(3, start=56.0, loop=2.0))
    assert two.seconds < 0.012
    assert three.seconds == pytest.approx(0.02)


@EXAMPLES
@given(st.integers(0, 10**6), st.floats(0.001, 0.01), st.floats(30, 100), st.floats(1.7, 4))
def test_a_deployment_with_more_expensive_requests_is_learned(
    seed: int, cost: float, rate: float, factor: float
) -> None:
    assume(rate * cost * factor < 2.5)  # loops of ``stream`` work for at most 2.8 s per second
    rng = chance(seed)
    before = stream(rng, [cost], rate=rate)
    after = stream(rng, [cost * factor], rate=rate, count=12, start=60.0)
    # 24 s after the change; a mean over the window would be 40 % on its way.
    assert known(*before, *after).seconds == pytest.approx(cost * factor, rel=0.2)


def test_a_quarter_more_is_within_chance_and_learned_slowly() -> None:
    found = known(*row(), *row(3, start=60.0, loop=1.14))
    assert 0.0092 < found.seconds < 0.0098, "24 % more"


@EXAMPLES
@given(st.integers(0, 10**6), st.floats(10, 100))
def test_failures_do_not_count_as_cheap_requests(seed: int, rate: float) -> None:
    ticks = stream(chance(seed), [0.01], rate=rate, count=15)
    failing = [
        at(30.0 + 2 * step, rate=3 * rate, loop=0.001 * rate, failing=True) for step in range(15)
    ]
    assert known(*ticks, *failing) == known(*ticks)


def test_a_cheaper_request_is_not_believed_during_failures() -> None:
    start = known(*row())
    down = (Failures(usual=0.0, level=100.0),)
    cheap = learned(learn, row(10, start=60.0, loop=0.3), start, known=down)
    assert cheap is not None
    assert cheap.seconds == start.seconds
    costly = learned(learn, row(10, start=60.0, loop=2.0), start, known=down)
    assert costly is not None
    assert costly.seconds > start.seconds


def test_nothing_is_learned_while_workers_wait_for_cpu() -> None:
    start = known(*row())
    assert known(*row(10, start=60.0, loop=3.9, contended=True), start=start) is start


def test_a_full_loop_counts_what_ended() -> None:
    """250 come, 100 end: 100 of them cost 20 ms each, not 175 of them 11 ms each."""
    full = row(5, loop=2.0, busiest=1.0, arrivals=250.0)
    assert known(*full).seconds == pytest.approx(0.02)
    loose = row(5, loop=2.0, busiest=0.5, arrivals=250.0)
    assert known(*loose).seconds == pytest.approx(2.0 / 175)


def test_requests_that_were_shed_cost_nothing() -> None:
    assert known(*row(5, arrivals=200.0, shed=100.0)).seconds == pytest.approx(0.0092)


def test_few_requests_are_not_confident() -> None:
    few = known(*stream(chance(1), [0.01], rate=1.0))
    assert not few.confident
    assert known(*stream(chance(1), [0.01], rate=10.0)).confident


def test_a_quiet_service_remembers_what_a_request_costs() -> None:
    start = known(*row())
    rare = row(300, start=60.0, arrivals=0.5, completed=0.5, loop=0.0046)
    found = known(*rare, start=start)
    assert found.confident, "never fewer than the last 200 requests"


def test_a_checkpoint_is_restored_without_confidence() -> None:
    found = restore(LEARNER.checkpoint(known(*row()), {}))
    assert found == ServiceDemand(seconds=pytest.approx(0.0092))
    assert not found.confident


@pytest.mark.parametrize("text", [None, 9, "", "9", "0s", "-9ms", "2m", "nan", ["9ms"]])
def test_a_senseless_checkpoint_is_ignored(text: object) -> None:
    assert restore({"serviceDemand": text}) is None


def test_low_confidence_lowers_the_target_and_is_reported() -> None:
    model = FleetModel(spec())
    model.rate = 3.0
    model.run(30)
    need, message = model.last.need, model.last.message
    assert need.target_utilization <= 0.6
    assert "service demand is based on only" in message
    assert "planning for at most 60 % loop utilization" in message


def test_a_doubled_cost_is_learned_within_ten_seconds() -> None:
    model = FleetModel(spec())
    model.rate = 100.0
    model.run(120)
    model.service *= 2
    model.run(10)
    assert model.last.need.service_demand == pytest.approx(0.04, rel=0.1)
