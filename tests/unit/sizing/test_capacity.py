"""Capacity: the target utilization, on the worked examples and at its limits."""

from math import log

import pytest

from aiapi_operator.sizing import capacity
from aiapi_operator.sizing.inputs import LatencyObjective
from aiapi_operator.sizing.state import BaseLatency, ServiceDemand

OBJECTIVE = LatencyObjective(percentile=95, threshold=0.8)


def known(seconds: float = 0.009) -> ServiceDemand:
    return ServiceDemand(seconds=seconds, idle=0.0, requests=5000, confident=True)


def level(now: float, calm: float | None = None, at: float = 0.0) -> BaseLatency:
    return BaseLatency(percentile=95, current=now, calm=calm or now, time=at)


def target(
    base: float, service: ServiceDemand | None = None, queueing: float = 1.0
) -> capacity.UtilizationTarget:
    return capacity.target(
        OBJECTIVE, service=service or known(), base_latency=level(base), queueing=queueing
    )


def test_the_target_is_where_base_and_queueing_meet_the_objective() -> None:
    found = target(0.75)
    # 50 / (50 + 27), less 2 % for errors of the demand.
    assert found.utilization == pytest.approx(0.65 / 1.02, abs=0.005)
    queueing = capacity.queueing_delay(0.009, OBJECTIVE, 1.02 * found.utilization)
    assert 0.75 + queueing == pytest.approx(0.8)
    assert capacity.tail(0.009, OBJECTIVE) == pytest.approx(0.009 * log(20))


def test_the_target_is_bounded() -> None:
    assert target(0.3).utilization == capacity.MAX_UTILIZATION
    assert target(0.3, known(5.0)).utilization == capacity.MIN_UTILIZATION


def test_a_base_over_the_objective_is_infeasible_and_held_at_an_efficient_load() -> None:
    assert target(0.9) == capacity.UtilizationTarget(
        capacity.INFEASIBLE_UTILIZATION, infeasible=True
    )
    assert target(0.79) == capacity.UtilizationTarget(
        capacity.INFEASIBLE_UTILIZATION, infeasible=False
    )


def test_longer_queueing_lowers_the_target() -> None:
    k = capacity.tail(0.009, OBJECTIVE)
    for queueing in (1.0, 1.5, 3.0):
        found = target(0.75, queueing=queueing)
        assert found.utilization == pytest.approx(0.05 / (0.05 + queueing * k) / 1.02)


@pytest.mark.parametrize("base", [0.5, 0.7, 0.74, 0.759, 0.9])
def test_a_slower_upstream_does_not_lower_the_target(base: float) -> None:
    risen = level(base, calm=0.31)
    found = capacity.target(OBJECTIVE, service=known(0.027), base_latency=risen, queueing=1.0)
    assert found.utilization >= capacity.INFEASIBLE_UTILIZATION / (1 + capacity.ERROR)


def test_a_base_that_stays_high_lowers_the_target() -> None:
    stayed = level(0.74, calm=0.72)
    found = capacity.target(OBJECTIVE, service=known(0.027), base_latency=stayed, queueing=1.0)
    k = capacity.tail(0.027, OBJECTIVE)
    assert found.utilization == pytest.approx(0.08 / (0.08 + k) / 1.02)


def test_uncertain_estimates_lower_the_target() -> None:
    nothing = capacity.target(OBJECTIVE, service=None, base_latency=None, queueing=1.0)
    assert nothing.utilization == capacity.CAUTIOUS_UTILIZATION
    unsure = ServiceDemand(seconds=0.009, idle=0.0, requests=30, confident=False)
    assert target(0.3, unsure).utilization == capacity.CAUTIOUS_UTILIZATION


def test_queueing_for_loops_is_separated_from_upstream_time() -> None:
    measured = {"arrivals": 100.0, "in_flight": 34.0, "upstream": 30.0}
    assert capacity.measured_queueing_delay(0.01, OBJECTIVE, **measured) == pytest.approx(
        0.09, rel=0.01
    )
    slower = measured | {"in_flight": 94.0, "upstream": 90.0}
    assert capacity.measured_queueing_delay(0.01, OBJECTIVE, **slower) == pytest.approx(
        0.09, rel=0.01
    )
    assert (
        capacity.measured_queueing_delay(0.01, OBJECTIVE, arrivals=0.0, in_flight=5.0, upstream=0.0)
        == 0.0
    )
