"""Service demand from ticks: noise, mixes, outliers, idle work, deployments."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.sizing.fleet_model import FleetModel, spec

from aiapi_operator.sizing import service_demand
from aiapi_operator.sizing.state import ServiceDemand, Tick

EXAMPLES = settings(max_examples=40, deadline=None)


def tick(at: float, *, rate: float, loop: float, failing: bool = False) -> Tick:
    return Tick(
        time=at,
        seconds=2.0,
        arrivals=rate,
        completed=rate,
        shed=0.0,
        in_flight=1.0,
        loop=loop,
        workers=4.0,
        busiest=min(1.0, loop / 4),
        heaviest=loop / 2,
        upstream=0.0,
        failing=failing,
        bounds=(),
        counts=(),
    )


def chance(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - a repeatable load, no secret


def stream(
    rng: Random, costs: list[float], *, rate: float, idle: float = 0.0, count: int = 30
) -> tuple[Tick, ...]:
    """Random whole requests, each with a random cost of ``costs``."""
    made = []
    for step in range(1, count + 1):
        requests = max(0, round(rng.gauss(2 * rate, (2 * rate) ** 0.5)))
        work = sum(rng.choice(costs) * rng.uniform(0.5, 1.5) for _ in range(requests))
        made.append(tick(2.0 * step, rate=requests / 2, loop=work / 2 + 4 * idle))
    return tuple(made)


@EXAMPLES
@given(st.integers(0, 10**6), st.floats(0.001, 0.02), st.floats(10, 150))
def test_noise_averages_out(seed: int, cost: float, rate: float) -> None:
    found = service_demand.estimate(stream(chance(seed), [cost], rate=rate), None)
    assert found is not None
    assert found.seconds == pytest.approx(cost, rel=0.1)
    assert found.confident


@EXAMPLES
@given(st.integers(0, 10**6), st.floats(2, 100), st.integers(5, 40))
def test_expensive_requests_of_a_mix_count(seed: int, rate: float, factor: int) -> None:
    """One in ten is many times as expensive. A median of ticks would miss it at a low rate."""
    costs = [0.002] * 9 + [0.002 * factor]
    mean = sum(costs) / 10
    found = service_demand.estimate(stream(chance(seed), costs, rate=rate), None)
    assert found is not None
    expensive = found.requests / 10
    assert found.seconds == pytest.approx(mean, rel=max(0.2, 4 / expensive**0.5))


@EXAMPLES
@given(st.integers(0, 10**6), st.floats(20, 100), st.lists(st.floats(0, 4), max_size=8))
def test_outliers_change_little(seed: int, rate: float, blocked: list[float]) -> None:
    """Up to 8 ticks of 30 are outliers: blocked loops, lost counts."""
    rng = chance(seed)
    clean = list(stream(rng, [0.004], rate=rate))
    for loop in blocked:
        at = rng.randrange(1, 20)
        clean[at] = tick(clean[at].time, rate=clean[at].arrivals, loop=loop)
    found = service_demand.estimate(tuple(clean), None)
    assert found is not None
    assert found.seconds == pytest.approx(0.004, rel=0.6)


@EXAMPLES
@given(st.integers(0, 10**6), st.floats(0.002, 0.018))
def test_idle_work_is_separated_when_the_load_varies(seed: int, idle: float) -> None:
    rng = chance(seed)
    ticks = [
        tick(2.0 * step, rate=rate, loop=0.004 * rate * rng.uniform(0.97, 1.03) + 4 * idle)
        for step, rate in enumerate([20 + 5 * (step % 13) for step in range(30)], start=1)
    ]
    found = service_demand.estimate(tuple(ticks), None)
    assert found is not None
    assert found.idle == pytest.approx(idle, abs=0.005)
    assert found.seconds == pytest.approx(0.004, rel=0.1)


@EXAMPLES
@given(st.integers(0, 10**6), st.floats(0.001, 0.01), st.floats(10, 100), st.floats(1.7, 4))
def test_a_deployment_with_more_expensive_requests_is_learned(
    seed: int, cost: float, rate: float, factor: float
) -> None:
    rng = chance(seed)
    ticks = [*stream(rng, [cost], rate=rate)]
    last: ServiceDemand | None = None
    for new in stream(rng, [cost * factor], rate=rate, count=12):
        ticks.append(tick(ticks[-1].time + 2, rate=new.arrivals, loop=new.loop))
        last = service_demand.estimate(tuple(ticks[-30:]), last)
    assert last is not None
    # 24 s after the change; a mean over the window would be 60 % on its way.
    assert last.seconds == pytest.approx(cost * factor, rel=0.2)


@EXAMPLES
@given(st.integers(0, 10**6), st.floats(10, 100))
def test_failures_do_not_count_as_cheap_requests(seed: int, rate: float) -> None:
    ticks = [*stream(chance(seed), [0.01], rate=rate, count=15)]
    failing = [
        tick(30.0 + 2 * step, rate=3 * rate, loop=0.001 * rate, failing=True) for step in range(15)
    ]
    found = service_demand.estimate((*ticks, *failing), None)
    assert found is not None
    assert found.seconds == pytest.approx(0.01, rel=0.12)


def test_few_requests_are_not_confident() -> None:
    few = service_demand.estimate(stream(chance(1), [0.01], rate=1.0), None)
    assert few is not None
    assert not few.confident
    wild = [tick(2.0 * i, rate=100.0, loop=0.4 if i % 2 else 1.1) for i in range(1, 9)]
    unsure = service_demand.estimate(tuple(wild), None)
    assert unsure is not None
    assert not unsure.confident


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
