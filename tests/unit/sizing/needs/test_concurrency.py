"""Concurrency: requests in flight over the limit of a worker, if there is one."""

import pytest
from unit.sizing.fleet_model import FleetModel, spec
from unit.sizing.samples import facts, row

from aiapi_operator.sizing.decision import Binding
from aiapi_operator.sizing.learners.base_latency import BaseLatency
from aiapi_operator.sizing.learners.demand import Demand
from aiapi_operator.sizing.needs.concurrency import growth, limit, need, unshed


@pytest.mark.parametrize(
    ("user", "pods", "in_flight", "workers", "reason"),
    [
        pytest.param(
            50,
            0,
            300.0,
            7.5,
            "300 requests in flight expected / (50 per worker x 0.8)",
            id="the worked example",
        ),
        pytest.param(
            0,
            50,
            300.0,
            7.5,
            "300 requests in flight expected / (50 per worker x 0.8)",
            id="only pods report a limit",
        ),
        pytest.param(
            100,
            10,
            800.0,
            100.0,
            "800 requests in flight expected / (10 per worker x 0.8)",
            id="the limit of the pods is lower",
        ),
        pytest.param(
            10,
            100,
            800.0,
            100.0,
            "800 requests in flight expected / (10 per worker x 0.8)",
            id="the limit of the spec is lower",
        ),
        pytest.param(
            50,
            0,
            0.0,
            0.0,
            "0 requests in flight expected / (50 per worker x 0.8)",
            id="nothing is in flight",
        ),
    ],
)
def test_the_need_for_concurrency(
    user: int, pods: int, in_flight: float, workers: float, reason: str
) -> None:
    limited = spec(max_concurrency=user)
    found = need(facts(row(in_flight=in_flight, worker_limit=pods), user_spec=limited), 3.0)
    assert found is not None
    assert (found.binding, found.reason) == (Binding.CONCURRENCY, reason)
    assert found.workers == pytest.approx(workers)
    assert found.survivors == pytest.approx(0.8 * workers), "without the spare fifth"


def test_without_a_limit_a_worker_holds_any_number_of_requests() -> None:
    unlimited = facts(row(in_flight=10_000.0))
    assert limit(unlimited) == 0
    assert need(unlimited, 3.0) is None


def test_requests_in_flight_grow_with_the_arrivals() -> None:
    rising = facts(row(in_flight=40.0, worker_limit=50), known=[Demand(level=100.0, slope=1.0)])
    assert growth(rising, 35.0) == pytest.approx(1.35 * 1.03)
    found = need(rising, 35.0)
    assert found is not None
    assert found.workers == pytest.approx(1.39, abs=0.01)
    assert growth(facts(row()), 35.0) == 1.0, "the demand is unknown"
    assert growth(facts(row(), known=[Demand(level=0.0)]), 35.0) == 1.0


@pytest.mark.parametrize(
    ("in_flight", "contended", "workers"),
    [(300.0, False, 7.5), (300.0, True, 1.25), (20.0, True, 0.5)],
)
def test_requests_that_wait_for_a_cpu_do_not_need_more_workers(
    in_flight: float, contended: bool, workers: float
) -> None:
    """100 per second arrive and take 0.5 s without that wait."""
    base = BaseLatency(percentile=95, current=0.5, calm=0.5, time=0.0)
    ticks = row(in_flight=in_flight, worker_limit=50, contended=contended)
    found = need(facts(ticks, known=[base]), 3.0)
    assert found is not None
    assert found.workers == pytest.approx(workers)


@pytest.mark.parametrize(
    ("changes", "in_flight"),
    [
        pytest.param({"shed": 20.0}, 62.5, id="the worked example"),
        pytest.param({}, 50.0, id="none were shed"),
        pytest.param({"shed": 98.0}, 75.0, id="immediate retries"),
        pytest.param({"shed": 100.0}, 50.0, id="all were shed"),
        pytest.param({"shed": 50.0, "retried": 50.0}, 50.0, id="shed requests were retried"),
    ],
)
def test_shed_requests_would_be_in_flight(changes: dict[str, float], in_flight: float) -> None:
    assert unshed(row(3, **changes), 50.0) == pytest.approx(in_flight)


def test_a_limit_of_the_pods_binds_like_the_users_limit() -> None:
    model = FleetModel(spec())
    model.limit, model.rate = 5, 100.0
    model.run(60)
    assert model.last.need.binding is Binding.CONCURRENCY
    assert "requests in flight expected / (5 per worker x 0.8)" in model.last.message
