"""Other autoscalers, checked against cases calculated by hand from their documentation."""

import pytest

from aiapi_operator.simulate.policies.catalogue import build
from aiapi_operator.simulate.policies.hpa import HpaBehavior, desired_replicas, replicas_for_sum
from aiapi_operator.simulate.policies.kpa import KpaPolicy, KpaScaler
from aiapi_operator.simulate.policies.llmd import SaturationScaler
from aiapi_operator.simulate.policies.ray import ScalingDelay
from aiapi_operator.simulate.run import Simulation
from aiapi_operator.sizing.inputs import Bounds
from aiapi_operator.sizing.learners.demand import Demand
from aiapi_operator.sizing.learners.service_demand import ServiceDemand
from aiapi_operator.sizing.state import Size

MANY = Bounds(min=1, max=1000)


@pytest.mark.parametrize(
    ("value", "target", "pods", "expected"),
    [
        (200, 100, 3, 6),  # "200m with a target of 100m: doubled"
        (50, 100, 4, 2),  # "50m: halved"
        (90, 60, 3, 5),  # ceil(3 x 1.5)
        (109, 100, 4, 4),  # within the tolerance of 0.1
        (111, 100, 4, 5),
        (89, 100, 10, 9),
    ],
)
def test_hpa_scales_by_the_ratio(value: float, target: float, pods: int, expected: int) -> None:
    assert desired_replicas(value, target, current=pods, ready=pods) == expected


def test_hpa_counts_starting_pods_as_idle_when_more_are_wanted() -> None:
    assert desired_replicas(0.9, 0.6, current=5, ready=3) == 5
    assert desired_replicas(3.0, 0.6, current=5, ready=3) == 15


def test_hpa_at_most_doubles_or_adds_four_in_15_seconds() -> None:
    behavior = HpaBehavior(MANY)
    assert behavior.limit(100, current=2, now=0) == 6
    assert behavior.limit(100, current=6, now=5) == 6
    assert behavior.limit(100, current=6, now=15) == 12
    assert behavior.limit(13, current=12, now=30) == 13


def test_hpa_scales_down_to_the_highest_recommendation_of_five_minutes() -> None:
    behavior = HpaBehavior(MANY)
    assert behavior.limit(8, current=10, now=0) == 8
    assert behavior.limit(9, current=9, now=15) == 9
    for now in range(30, 315, 15):
        assert behavior.limit(3, current=9, now=now) == 9
    assert behavior.limit(3, current=9, now=315) == 3


def test_hpa_stays_within_its_bounds() -> None:
    behavior = HpaBehavior(Bounds(min=2, max=5))
    assert behavior.limit(50, current=4, now=0) == 5
    assert HpaBehavior(Bounds(min=2, max=5)).limit(0, current=3, now=0) == 2


def test_kpa_follows_the_stable_window() -> None:
    scaler = KpaScaler(target=7.0)
    assert scaler.scale(stable=25, panic=25, ready=4, now=100) == 4
    assert scaler.scale(stable=29, panic=29, ready=4, now=102) == 5


def test_kpa_halves_at_most() -> None:
    assert KpaScaler(target=7.0).scale(stable=1, panic=1, ready=9, now=100) == 4


def test_kpa_panics_at_twice_the_ready_pods_and_then_never_shrinks() -> None:
    scaler = KpaScaler(target=7.0)
    assert scaler.scale(stable=25, panic=60, ready=4, now=100) == 9
    assert scaler.scale(stable=20, panic=10, ready=9, now=130) == 9
    assert scaler.scale(stable=20, panic=10, ready=9, now=160) == 9
    assert scaler.scale(stable=35, panic=35, ready=9, now=162) == 5


def test_kpa_does_not_panic_below_twice_the_ready_pods() -> None:
    assert KpaScaler(target=7.0).scale(stable=25, panic=49, ready=4, now=100) == 4


def test_kpa_starts_in_panic_with_two_pods_and_not_with_one() -> None:
    one, two = (
        KpaPolicy(Size(workers=2, replicas=pods), MANY, container_concurrency=10).scaler.panic_since
        for pods in (1, 2)
    )
    assert (one, two) == (None, 0.0)


def test_keda_scales_by_the_sum() -> None:
    assert replicas_for_sum(150, 20, current=7) == 7
    assert replicas_for_sum(150, 20, current=6) == 8
    assert replicas_for_sum(90, 20, current=8) == 5


def test_ray_delays_30_s_up_and_600_s_down() -> None:
    delays = ScalingDelay()
    assert [delays.limit(6, current=4, now=now) for now in (0, 10, 20, 30)] == [4, 4, 4, 6]
    down = [delays.limit(3, current=6, now=40 + 10 * look) for look in range(61)]
    assert down[:60] == [6] * 60
    assert down[60] == 3


def test_ray_resets_the_delay_when_a_decision_disagrees() -> None:
    delays = ScalingDelay()
    wanted = ((0, 6), (10, 6), (20, 4), (30, 6), (40, 5), (50, 6))
    assert [delays.limit(pods, current=4, now=now) for now, pods in wanted] == [4] * 6
    assert delays.limit(6, current=4, now=60) == 6


@pytest.mark.parametrize(
    ("saturation", "expected"), [(0.5, 4), (0.55, 4), (0.66, 5), (1.1, 8), (5.0, 15), (0.3, 3)]
)
def test_llm_d_scales_by_the_fraction_of_the_threshold(saturation: float, expected: int) -> None:
    assert SaturationScaler().replicas(saturation, current=4, now=0) == expected


def test_llm_d_steps_down_once_in_two_minutes() -> None:
    law = SaturationScaler()
    steps = [law.replicas(0.3, current=9, now=now) for now in (0, 30, 60, 90, 120, 150)]
    assert steps == [8, 9, 9, 9, 8, 9]


def test_without_forecast_the_operator_orders_later_on_a_ramp(make_load, make_truth) -> None:
    load = make_load(*((10, 20 + 2 * step) for step in range(90)))
    truth = make_truth(load)

    def ordered(name: str) -> float:
        result = Simulation(load, truth.spec, build(name, truth, pod_workers=1)).run()
        assert result.policy == name
        return sum(change.after.total * (900 - change.at) for change in result.changes[:3])

    assert ordered("aiapi-last-value") < ordered("aiapi")


def test_without_forecast_the_operator_learns_no_demand(make_load, make_truth) -> None:
    load = make_load((120, 40))
    truth = make_truth(load)
    for name, known in (("aiapi", True), ("aiapi-last-value", False)):
        policy = build(name, truth, pod_workers=1)
        Simulation(load, truth.spec, policy).run()
        assert (Demand in policy.state.memory) == known
        assert ServiceDemand in policy.state.memory
