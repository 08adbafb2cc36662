"""Pods that do not answer, and restarts of pods, counters, clocks and the operator."""

import pytest
from unit.sizing.fleet_model import FleetModel, condition, spec
from unit.sizing.test_decide import settled, total

from aiapi_operator.sizing.decide import decide
from aiapi_operator.sizing.decision import Verdict
from aiapi_operator.sizing.inputs import Bounds, Fleet, PodUnknown
from aiapi_operator.sizing.state import State


@pytest.mark.property
def test_five_minutes_without_metrics_shrink_nothing() -> None:
    model = settled(workers=Bounds(min=1, max=4))
    model.rate = 300.0
    model.run(360)
    size = model.size
    model.rate = 20.0
    model.silent = {pod.name for pod in model.pods}
    for _, decision in model.run(300):
        assert (decision.workers, decision.replicas) == size
        assert decision.verdict is Verdict.HOLDING
        status, message = condition(decision, "MetricsStale")
        assert status is True
        assert "The fleet does not scale down" in message
        assert "timeout" in message
    assert "no metrics from any of" in model.last.message
    assert model.last.load.arrivals_per_second is None
    model.silent = set()
    back = model.run(296)
    assert {decision.replicas for _, decision in back} == {size[1]}
    assert all(decision.workers == size[0] for at, decision in back if at <= back[0][0] + 28)
    model.run(20)
    assert model.size == (1, 2)


@pytest.mark.property
def test_one_silent_pod_of_three_prevents_scale_down() -> None:
    model = FleetModel(spec(replicas=Bounds(min=3, max=3)), replicas=3)
    model.rate = 200.0
    model.run(400)
    size = model.size
    assert size[0] > 1
    model.silent = {"pod-1"}
    model.rate = 20.0
    for _, decision in model.run(120):
        assert (decision.workers, decision.replicas) == size
    assert model.last.verdict is Verdict.HOLDING
    assert "pod-1: timeout" in model.last.message
    status, message = condition(model.last, "MetricsStale")
    assert status is True
    assert "1 of 3 ready pods cannot be scraped" in message


def test_a_fleet_with_a_silent_pod_still_grows() -> None:
    model = FleetModel(spec(replicas=Bounds(min=3, max=20)), replicas=3)
    model.run(360)
    model.silent = {"pod-1"}
    model.rate = 300.0
    model.run(6)
    # The share of the silent pod counts: 300 rps x 20 ms need 6 loops.
    assert model.last.load.arrivals_per_second == pytest.approx(300, rel=0.05)
    assert model.last.workers >= 3


def test_a_restarted_operator_keeps_or_raises() -> None:
    model = settled(workers=Bounds(min=1, max=4))
    model.rate = 300.0
    model.run(120)
    size = model.size
    model.rate = 20.0
    model.state = State()
    decisions = model.run(298)
    for at, decision in decisions:
        assert decision.replicas >= size[1]
        if at <= decisions[0][0] + 28:
            assert decision.workers >= size[0]
    assert decisions[2][1].verdict is Verdict.WARMING_UP
    assert "since startup" in decisions[2][1].message


def test_a_restarted_operator_without_samples_uses_the_status() -> None:
    pods = (PodUnknown(pod="a", ready=True, reason="timeout"),)
    fleet = Fleet(replicas=7, pods=pods, workers=5)
    decision = decide(spec(), fleet, State(), 10.0)
    assert (decision.workers, decision.replicas) == (5, 7)
    assert decision.verdict is Verdict.HOLDING


def test_a_restarted_pod_gives_a_plausible_rate() -> None:
    model = settled()
    model.rate = 100.0
    model.run(120)
    model.restart(0)
    for _, decision in model.run(30):
        assert 0 <= decision.load.arrivals_per_second <= 160
        assert 0 <= decision.load.completed_per_second <= 120
        assert total(decision) <= 10


def test_a_decreased_counter_gives_a_plausible_rate() -> None:
    model = settled()
    model.pods[0].completed = 3.0
    for _, decision in model.run(10):
        assert 0 <= decision.load.completed_per_second <= 30


def test_a_clock_that_went_back_restarts_without_shrinking() -> None:
    model = settled()
    model.rate = 120.0
    model.run(30)
    size = model.size
    model.now = 5.0
    decision = model.decide()
    assert (decision.workers, decision.replicas) == size
    assert decision.state.since == 5.0


@pytest.mark.property
def test_an_hour_without_ticks_shrinks_nothing() -> None:
    model = settled()
    model.rate = 120.0
    model.run(60)
    size = model.size
    model.rate = 20.0
    model.serve(3600)
    assert (model.decide().workers, model.last.replicas) == size
    assert model.last.load.arrivals_per_second is None, (
        "the mean of an hour is not the current load"
    )
    for _, decision in model.run(28):
        assert (decision.workers, decision.replicas) == size


def test_forty_seconds_without_a_tick_are_not_a_stabilization_window() -> None:
    model = settled()
    model.rate = 120.0
    model.run(60)
    size = model.size
    model.rate = 20.0
    model.serve(40)
    assert (model.decide().workers, model.last.replicas) == size
    for _, decision in model.run(28):
        assert decision.workers == size[0]


def test_pods_at_the_template_size_do_not_change_the_decision() -> None:
    model = settled()
    model.rate = 120.0
    model.run(60)
    size = model.size
    model.rate = 20.0
    for pod in model.pods:
        pod.order(1, model.now)
    model.acting = False
    assert {(d.workers, d.replicas) for _, d in model.run(20)} == {size}
    assert model.last.verdict is Verdict.SCALED_UP
    assert "2 pods x 1 -> 2 pods x" in model.last.message
