"""Plans: workers and pods together, at the lowest cost that carries a need."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.sizing.fleet_model import spec
from unit.sizing.requirements import size

from aiapi_operator.sizing import plan
from aiapi_operator.sizing.inputs import Bounds
from aiapi_operator.sizing.plan import RequiredWorkers
from aiapi_operator.sizing.state import Size

SEVEN = RequiredWorkers(7.0, 5.2)
"""The worked example."""
SMALL = spec(workers=Bounds(min=1, max=2), replicas=Bounds(min=2, max=3))


@pytest.mark.parametrize(
    ("need", "replicas", "workers"),
    [
        (SEVEN, 1, 7),
        (SEVEN, 2, 6),
        (SEVEN, 3, 3),
        (SEVEN, 4, 2),
        (SEVEN, 7, 1),
        (SEVEN, 0, 1),
        (RequiredWorkers(0.0, 0.0), 3, 1),
        (RequiredWorkers(6.0 + 1e-12, 0.0), 3, 2),
        (RequiredWorkers(6.01, 0.0), 3, 3),
    ],
)
def test_workers_for_a_need(need: RequiredWorkers, replicas: int, workers: int) -> None:
    assert plan.workers_for(need, replicas) == workers


@pytest.mark.parametrize(
    ("need", "at_least", "replicas"),
    [
        (SEVEN, 1, 1),
        (SEVEN, 4, 4),
        (RequiredWorkers(17.0, 0.0), 1, 3),
        (RequiredWorkers(16.0, 12.0), 1, 3),
        (RequiredWorkers(900.0, 0.0), 1, 20),
    ],
)
def test_the_fewest_pods(need: RequiredWorkers, at_least: int, replicas: int) -> None:
    assert plan.fewest_replicas(spec(), need, at_least=at_least) == replicas


def test_the_costs_of_the_worked_example() -> None:
    cores = spec(price=replace(spec().price, cpu_hour=1.0, memory_gib_hour=0.0))
    costs = [plan.hourly_cost(cores, plan.fit(cores, SEVEN, pods)) for pods in (2, 3, 4, 7)]
    assert costs == pytest.approx([6.2, 4.8, 4.4, 4.2])


def test_a_plan_within_five_percent_of_the_cheapest_with_the_fewest_pods() -> None:
    assert plan.cheapest(spec(), SEVEN) == size(2, 4)


def test_pods_that_cost_more_than_their_workers_are_filled() -> None:
    assert plan.cheapest(spec(worker_cpu=0.05, worker_memory=2**20), SEVEN).replicas <= 3


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        pytest.param({}, size(2, 3), id="the largest fleet"),
        pytest.param({"workers": Bounds(min=3, max=8)}, size(3, 3), id="workers.min"),
        pytest.param({"replicas": Bounds(min=9, max=9)}, size(1, 9), id="replicas.min"),
    ],
)
def test_plans_stay_within_the_bounds(bounds: dict[str, Bounds], expected: Size) -> None:
    assert plan.cheapest(replace(SMALL, **bounds), SEVEN) == expected


def test_a_fit_stays_within_the_bounds() -> None:
    assert plan.fit(SMALL, SEVEN, 2) == size(2, 2)
    assert plan.fit(spec(workers=Bounds(min=3, max=8)), SEVEN, 7) == size(3, 7)
    assert plan.fit(spec(), SEVEN, 3) == size(3, 3)


def test_without_prices_cores_are_compared() -> None:
    free = spec(price=replace(spec().price, cpu_hour=0.0, memory_gib_hour=0.0))
    assert plan.cheapest(free, SEVEN) == plan.cheapest(spec(), SEVEN)
    assert plan.hourly_cost(free, size(2, 4)) == pytest.approx(4.4)


def test_a_pod_costs_its_overhead_and_its_workers() -> None:
    user_spec = spec()
    pod = 0.1 * 0.031611 + 0.125 * 0.003511
    worker = 0.5 * 0.031611 + 0.25 * 0.003511
    assert plan.pod_hourly_cost(user_spec) == pytest.approx(pod)
    assert plan.worker_hourly_cost(user_spec) == pytest.approx(worker)
    assert plan.hourly_cost(user_spec, size(2, 4)) == pytest.approx(4 * pod + 8 * worker)


needs = st.builds(RequiredWorkers, total=st.floats(0, 200), survivors=st.floats(0, 200))


@pytest.mark.property
@given(needs)
def test_a_plan_carries_the_need_and_survives_a_lost_pod(need: RequiredWorkers) -> None:
    found = plan.cheapest(spec(), need)
    if found != size(8, 20):
        assert found.total >= need.total - 1e-6
        assert found.workers * (found.replicas - 1) >= need.survivors - 1e-6


@pytest.mark.property
@given(needs)
def test_no_other_plan_is_five_percent_cheaper(need: RequiredWorkers) -> None:
    user_spec = spec(workers=Bounds(min=1, max=4), replicas=Bounds(min=2, max=9))
    found = plan.cheapest(user_spec, need)
    others = [size(workers, pods) for workers in range(1, 5) for pods in range(2, 10)]
    able = [each for each in others if plan.workers_for(need, each.replicas) <= each.workers]
    if able:
        lowest = min(plan.hourly_cost(user_spec, each) for each in able)
        assert found in able
        assert plan.hourly_cost(user_spec, found) <= 1.05 * lowest + 1e-12
