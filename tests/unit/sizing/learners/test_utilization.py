"""The utilization target, on the worked examples of capacity.py and at its limits."""

from dataclasses import replace

import pytest
from unit.sizing.fleet_model import spec
from unit.sizing.samples import facts, row

from aiapi_operator.sizing import capacity
from aiapi_operator.sizing.capacity import UtilizationTarget
from aiapi_operator.sizing.inputs import LatencyObjective, ObjectiveKind
from aiapi_operator.sizing.learners.base_first_byte import BaseFirstByte
from aiapi_operator.sizing.learners.base_latency import BaseLatency
from aiapi_operator.sizing.learners.queueing import Queueing
from aiapi_operator.sizing.learners.service_demand import ServiceDemand
from aiapi_operator.sizing.learners.utilization import learn, target

OBJECTIVE = spec().objective


def level(now: float, calm: float | None = None) -> BaseLatency:
    return BaseLatency(percentile=95, current=now, calm=calm or now, time=0.0)


SURE = Queueing(factor=1.0, variance=0.0)


def planned(
    base: BaseLatency | float, cost: float = 0.009, *, q: float = 1.0, requests: float = 5000
) -> UtilizationTarget:
    base = level(base) if isinstance(base, float) else base
    service = ServiceDemand(seconds=cost, requests=requests)
    return learn(None, facts(row(1), known=(base, service, Queueing(factor=q, variance=0.0))))


def test_the_target_is_where_base_and_queueing_meet_the_objective() -> None:
    found = planned(0.75)
    assert found.utilization == pytest.approx(0.65, abs=0.005)
    delay = capacity.queueing_delay(0.009, OBJECTIVE, found.utilization)
    assert 0.75 + delay == pytest.approx(0.8)


def test_the_target_is_bounded() -> None:
    assert planned(0.3).utilization == 0.85
    assert planned(0.3, 5.0).utilization == 0.3


@pytest.mark.parametrize(("base", "infeasible"), [(0.9, True), (0.8, True), (0.79, False)])
def test_a_base_over_the_objective_is_planned_efficiently(base: float, infeasible: bool) -> None:
    found = planned(base)
    assert (found.utilization, found.infeasible) == (0.7, infeasible)


@pytest.mark.parametrize("q", [1.0, 1.5, 3.0])
def test_longer_queueing_lowers_the_target(q: float) -> None:
    k = capacity.tail(0.009, OBJECTIVE)
    assert planned(0.75, q=q).utilization == pytest.approx(max(0.05 / (0.05 + q * k), 0.3))


@pytest.mark.parametrize("base", [0.5, 0.7, 0.74, 0.759, 0.9])
def test_a_slower_upstream_does_not_lower_the_target(base: float) -> None:
    assert planned(level(base, calm=0.31), 0.027).utilization >= 0.7


def test_a_base_that_stays_high_lowers_the_target() -> None:
    k = capacity.tail(0.027, OBJECTIVE)
    stayed = planned(level(0.74, calm=0.72), 0.027)
    assert stayed.utilization == pytest.approx(0.08 / (0.08 + k))


def test_the_stricter_of_two_objectives_counts() -> None:
    first = LatencyObjective(percentile=95, threshold=0.2, kind=ObjectiveKind.FIRST_BYTE)
    user_spec = replace(spec(), other_objectives=(first,))
    service = ServiceDemand(seconds=0.02, requests=5000)
    known = (level(0.3), BaseFirstByte(percentile=95, current=0.1, calm=0.1, time=0.0), service)
    found = learn(None, facts(row(1), user_spec=user_spec, known=(*known, SURE)))
    assert found.objective == first
    k = capacity.tail(0.02, first)
    assert found.utilization == pytest.approx(0.1 / (0.1 + k))


def test_uncertain_estimates_are_planned_with_caution() -> None:
    assert target(facts()).utilization == 0.6
    assert learn(None, facts(row(1))).utilization == 0.6
    assert learn(None, facts(row(1), known=(level(0.3),))).utilization == 0.6
    assert planned(0.3, requests=30).utilization == 0.6
    assert planned(0.75, 0.02, requests=30).utilization < 0.6
