"""Decisions of the right-sizer for a simulated fleet."""

from dataclasses import replace
from functools import cache
from itertools import pairwise
from random import Random

import pytest
from msgspec import structs
from unit.sizing.fleet_model import FleetModel, condition, spec

from aiapi_operator.sizing.decide import decide
from aiapi_operator.sizing.decision import Binding, Decision, Verdict
from aiapi_operator.sizing.inputs import Bounds, Fleet, Mode, SizingSpec
from aiapi_operator.sizing.state import State


def total(decision: Decision) -> int:
    return decision.workers * decision.replicas


@cache
def _calm(user_spec: SizingSpec) -> FleetModel:
    model = FleetModel(user_spec)
    model.run(360)
    return model


def settled(**changes: object) -> FleetModel:
    """A fleet after six minutes at a steady load: every window is full."""
    return _calm(spec(**changes)).copy()


def test_a_new_aiapi_without_pods_gets_the_smallest_fleet() -> None:
    decision = decide(spec(), Fleet(replicas=0, pods=()), State(), 0.0)
    assert (decision.workers, decision.replicas) == (1, 2)
    assert decision.verdict is Verdict.WARMING_UP
    assert decision.message.startswith("no pod is ready yet")


def test_the_first_sample_gives_no_rate_and_shrinks_nothing() -> None:
    model = FleetModel(spec(), replicas=6, workers=4)
    model.rate = 0.0
    [(_, decision)] = model.run(2)
    assert (decision.workers, decision.replicas) == (4, 6)
    assert decision.load.arrivals_per_second is None
    assert decision.need.binding is Binding.HELD


def test_a_step_is_answered_within_two_ticks() -> None:
    model = settled()
    assert model.size == (1, 2)
    model.rate = 120.0
    decisions = model.run(4)
    decision = decisions[-1][1]
    # 120 rps x 20 ms need 2.4 loops; 2.5 must remain when a pod is lost.
    assert decision.workers * (decision.replicas - 1) >= 2.4
    assert 3 <= decision.workers <= 4
    assert decision.replicas == 2
    assert decisions[0][1].verdict is Verdict.SCALED_UP
    assert "2 pods x 1 -> 2 pods x 3" in decisions[0][1].message


def test_a_step_in_the_middle_of_a_tick_is_answered_within_two_ticks() -> None:
    model = settled()
    model.serve(1.2)
    model.rate = 120.0
    model.serve(0.8)
    model.decide()
    model.run(4)
    assert model.last.workers >= 3


def test_workers_scale_down_after_their_window() -> None:
    model = settled()
    model.rate = 120.0
    model.run(60)
    peak = model.last.workers
    model.rate = 20.0
    for _, decision in model.run(28):
        assert decision.workers == peak
    assert decision.verdict is Verdict.STABILIZING
    assert "workers scale down once the need has been lower for 30 s" in decision.message
    model.run(12)
    assert model.size == (1, 2)


@pytest.mark.property
def test_pods_needed_for_the_peak_of_the_window_are_kept() -> None:
    model = settled(workers=Bounds(min=1, max=4))
    model.rate = 500.0
    model.run(240)
    # 500 x 20 ms / 0.8 are 12.5 workers, 4 a pod at most; 10.5 must remain when a pod is lost.
    assert model.last.replicas >= 4
    model.rate = 20.0
    kept = [decision.replicas for _, decision in model.run(290)]
    assert min(kept) == 4
    assert model.last.workers == 1
    assert "pods scale down once the saving exceeds the cost of moving" in model.last.message
    model.run(150)
    assert model.size == (1, 2)


def test_a_slow_upstream_adds_no_worker_and_is_reported() -> None:
    model = settled()
    model.rate = 60.0
    model.run(400)
    size = model.size
    calm = model.last.load.in_flight
    model.upstream *= 3
    for _, decision in model.run(120):
        assert (decision.workers, decision.replicas) == size
    assert model.last.load.in_flight == pytest.approx(3 * calm, rel=0.1)
    status, message = condition(model.last, "DependencyBound")
    assert status is True
    assert "p95 is 1.3 s" in message
    assert "objective 800 ms" in message
    assert "waiting for upstreams" in message
    assert "More workers or pods would not help" in message
    status, message = condition(model.last, "ObjectiveInfeasible")
    assert status is True
    assert "objective.latency.threshold" in message


def test_a_recovered_upstream_ends_the_diagnosis() -> None:
    model = settled()
    model.upstream *= 3
    model.run(60)
    assert condition(model.last, "DependencyBound")[0] is True
    model.upstream /= 3
    model.run(90)
    assert condition(model.last, "DependencyBound")[0] is False
    assert condition(model.last, "ObjectiveInfeasible")[0] is False


def test_a_step_up_is_not_blamed_on_the_upstream() -> None:
    model = settled()
    model.rate = 160.0
    for _, decision in model.run(60):
        assert condition(decision, "DependencyBound")[0] is not True


def test_a_queue_that_was_cheap_requests_is_not_blamed_on_the_upstream() -> None:
    model = settled()
    model.service = 0.002
    model.run(120)
    model.rate = 1800.0
    for _, decision in model.run(60):
        assert condition(decision, "DependencyBound")[0] is not True


def test_without_requests_the_fleet_shrinks_to_the_minimum() -> None:
    model = FleetModel(spec(), replicas=5, workers=3)
    model.rate = 0.0
    model.run(340)
    assert model.size == (1, 2)
    assert model.last.need.binding is Binding.FLOOR
    assert model.last.load.latency is None
    assert condition(model.last, "DependencyBound")[0] is None


@pytest.mark.property
def test_steady_noise_does_not_flap() -> None:
    model = FleetModel(spec())
    model.noise = Random(7)  # noqa: S311 - a repeatable load, no secret
    model.rate = 230.0
    model.run(600)
    totals = [total(decision) for _, decision in model.run(3600)]
    steps = [after - before for before, after in pairwise(totals) if after != before]
    # A need of 6.0 to 6.3: 6 x 1, and 6 x 2 until a seventh pod has its share.
    assert sum(one * other < 0 for one, other in pairwise(steps)) <= 2
    assert len(steps) <= 6
    assert max(totals) <= 14


def test_pods_that_are_not_ready_are_not_ordered_twice() -> None:
    model = settled(workers=Bounds(min=1, max=4))
    model.pod_start = 60.0
    model.rate = 500.0
    model.run(6)
    ordered = model.last.replicas
    assert ordered > 2
    assert {decision.replicas for _, decision in model.run(50)} == {ordered}
    assert model.last.workers == 4, "serving pods make up for starting pods"


def test_reaching_the_maximum_is_reported_with_what_to_do() -> None:
    model = settled(workers=Bounds(min=1, max=2), replicas=Bounds(min=2, max=3))
    model.rate = 600.0
    model.run(30)
    assert model.size == (2, 3)
    assert model.last.verdict is Verdict.LIMITED
    assert model.last.need.binding is Binding.CEILING
    assert model.last.need.workers > 6
    assert "the maximum is 3 pods x 2" in model.last.message
    status, message = condition(model.last, "ScalingLimited")
    assert status is True
    assert "at most 6 are allowed" in message
    assert "Raise replicas.max to" in message


def test_new_pods_are_rate_limited() -> None:
    model = settled(workers=Bounds(min=1, max=1), max_replicas_per_minute=4)
    model.rate = 400.0
    model.run(20)
    assert model.last.replicas == 6
    assert model.last.verdict is Verdict.LIMITED
    assert "limited to 4 new pods per minute" in model.last.message
    status, message = condition(model.last, "ScalingLimited")
    assert status is True
    assert "maxReplicasPerMinute 4" in message
    model.run(60)
    assert model.last.replicas == 10


def test_a_worker_limit_on_concurrency_binds() -> None:
    model = settled(max_concurrency=5)
    model.rate = 100.0
    model.run(60)
    # 100 rps x 0.3 s are 30 in flight, at 4 (80 % of 5) a worker 8 workers.
    assert model.last.need.binding is Binding.CONCURRENCY
    assert model.last.need.workers in (8, 9)
    assert "requests in flight expected / (5 per worker x 0.8)" in model.last.message


@pytest.mark.property
def test_fewer_pods_with_more_workers_raises_the_workers_first() -> None:
    model = FleetModel(spec(workers=Bounds(min=1, max=8)), replicas=12, workers=1)
    model.rate = 150.0
    sizes = [(d.workers, d.replicas) for _, d in model.run(400)]
    changed = [b for a, b in pairwise(sizes) if a != b]
    assert model.last.replicas < 12
    for workers, replicas in changed:
        assert workers * replicas >= 4


def test_a_recommendation_that_is_not_applied_is_repeated() -> None:
    model = settled(workers=Bounds(min=1, max=1), mode=Mode.RECOMMEND, max_replicas_per_minute=30)
    model.acting = False
    model.rate = 90.0
    model.run(10)
    size = model.size
    assert size[1] > 2
    assert {(d.workers, d.replicas) for _, d in model.run(30)} == {size}


def test_recommend_matches_auto_and_paused_keeps_the_fleet() -> None:
    auto, recommend = settled(), settled(mode=Mode.RECOMMEND)
    recommend.acting = False
    auto.rate = recommend.rate = 120.0
    auto.run(2)
    recommend.run(2)
    assert recommend.size == auto.size
    paused = FleetModel(spec(mode=Mode.PAUSED), replicas=4, workers=3)
    paused.rate = 1000.0
    paused.run(30)
    assert paused.size == (3, 4)
    assert paused.last.verdict is Verdict.PAUSED
    assert paused.last.need.workers > 12, "the need is still reported"


def test_edited_bounds_apply_immediately() -> None:
    model = settled()
    model.spec = spec(replicas=Bounds(min=4, max=20), workers=Bounds(min=2, max=8))
    model.run(2)
    assert model.size == (2, 4)


def test_a_doubled_service_demand_is_learned_within_a_minute() -> None:
    model = settled()
    model.rate = 100.0
    model.run(120)
    model.service *= 2
    model.run(60)
    assert model.last.need.service_demand == pytest.approx(0.04, rel=0.15)
    # 100 x 40 ms: 4 workers' worth of loop, also with one pod lost.
    assert model.last.workers * (model.last.replicas - 1) >= 4


def test_a_blocked_loop_and_a_failing_app_are_reported() -> None:
    model = settled()
    fleet = model.fleet()
    first = structs.replace(
        fleet.pods[0], workers_blocked=1, blocked_at="app.py:12 load", time=model.now
    )
    second = structs.replace(
        fleet.pods[1], failure="ModuleNotFoundError: No module named 'assistant'"
    )
    fleet = replace(fleet, pods=(first, second))
    decision = decide(model.spec, fleet, model.state, model.now)
    status, message = condition(decision, "EventLoopBlocked")
    assert status is True
    assert "pod-0 was blocked at app.py:12 load" in message
    status, message = condition(decision, "WorkersFailing")
    assert status is True
    assert "No module named 'assistant'. Check spec.app, spec.image and spec.env" in message
    for _, later in model.run(58):
        assert condition(later, "EventLoopBlocked")[0] is False


def test_a_blocked_loop_is_remembered_for_a_minute() -> None:
    model = settled()
    blocked = structs.replace(model.fleet().pods[0], workers_blocked=1, blocked_at="app.py:12 load")
    fleet = replace(model.fleet(), pods=(blocked, model.fleet().pods[1]))
    model.state = decide(model.spec, fleet, model.state, model.now).state
    assert all(condition(d, "EventLoopBlocked")[0] for _, d in model.run(60))
    model.run(4)
    assert condition(model.last, "EventLoopBlocked")[0] is False
