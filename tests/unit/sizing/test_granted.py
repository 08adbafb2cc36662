"""A resize that is not granted is no capacity: pods are planned with the workers they can have."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from unit.sizing.fleet_model import FleetModel, condition, spec

from aiapi_operator.sizing import granted
from aiapi_operator.sizing.inputs import Bounds, Fleet, Floor, PodUnknown, Refusal, RefusedResize


def fleet(*workers: int | None) -> Fleet:
    """Pods that can have so many workers; None is any number."""
    names = [f"pod-{index}" for index in range(len(workers))]
    return Fleet(
        replicas=len(workers),
        pods=tuple(PodUnknown(pod=name, ready=True, reason="") for name in names),
        refused=tuple(
            RefusedResize(pod=name, why=Refusal.DEFERRED, granted=most, message="")
            for name, most in zip(names, workers, strict=True)
            if most is not None
        ),
    )


def grown(
    grants: Callable[[int], int | None], *, seconds: float = 60.0, **changes: object
) -> FleetModel:
    """A quiet fleet of two pods whose load then takes about seven workers."""
    model = FleetModel(spec(**changes))
    model.grants = grants
    model.run(330)
    model.rate = 250.0
    model.run(seconds)
    return model


# The workers that pods are planned with


@pytest.mark.parametrize(
    ("pods", "expected"),
    [
        ((None, None), 8),
        ((2, 3), 2),
        ((2, None), 2),
        ((9, 9), 8),
        # With p95, one pod of twenty may be slow.
        ((1, *[None] * 18), 1),
        ((1, *[None] * 19), 8),
        ((1, 4, *[None] * 18), 4),
    ],
)
def test_pods_are_planned_with_what_nearly_all_of_them_can_have(
    pods: tuple[int | None, ...], expected: int
) -> None:
    assert granted.per_pod(spec(), fleet(*pods)) == expected


def test_no_fewer_than_workers_min_are_planned() -> None:
    assert granted.per_pod(spec(workers=Bounds(min=3, max=8)), fleet(2, 2)) == 3


@pytest.mark.parametrize(
    ("pods", "expected"), [((None, None), 8), ((2, 3), 3), ((2, None), 8), ((9, 9), 8)]
)
def test_no_more_workers_are_ordered_than_some_pod_can_have(
    pods: tuple[int | None, ...], expected: int
) -> None:
    assert granted.most(spec(), fleet(*pods)) == expected


# The fleet


def test_pods_are_added_within_ten_seconds_when_no_pod_can_grow() -> None:
    model = grown(lambda _: 1, seconds=2)
    while model.last.workers == 1:
        model.run(2)
        assert model.now < 360, "the load asks for more workers"
    model.run(10)
    assert model.last.replicas >= 7
    assert model.last.workers == 1, "the order is what pods can have"


def test_the_objective_holds_again_once_the_pods_have_started() -> None:
    model = grown(lambda _: 2, seconds=120)
    workers, replicas = model.size
    assert workers <= 2
    assert workers * replicas >= 7
    assert model.last.load.loop_utilization < 0.9
    assert model.last.load.latency < 0.8


def test_a_pod_that_can_have_more_keeps_its_workers_until_others_have_started() -> None:
    model = FleetModel(spec())
    model.grants = lambda number: 1 if number == 0 else None
    model.pod_start = 60.0
    model.run(330)
    model.rate = 250.0
    model.run(30)
    assert model.pods[1].wanted > 2
    assert model.replicas > 2, "the pod that cannot grow gets a share as large as the others"


def test_pods_with_room_grow_when_no_more_pods_may_be_added() -> None:
    model = grown(lambda number: 1 if number == 0 else None, replicas=Bounds(min=2, max=2))
    assert model.pods[0].wanted == 1
    assert model.pods[1].wanted >= 4


def test_workers_come_first_again_once_nothing_is_refused() -> None:
    model = grown(lambda _: 1, seconds=120)
    before = model.replicas
    model.free()
    model.rate *= 1.6
    model.run(10)
    assert model.replicas <= before
    assert model.last.workers > 1


def test_a_schedule_is_met_by_more_pods() -> None:
    floor = Floor(name="launch", replicas=3, workers=4)
    model = FleetModel(spec())
    model.grants = lambda _: 2
    model.run(60)
    model.spec = replace(model.spec, floors=(floor,))
    model.run(10)
    assert model.size == (2, 6)


# What is reported


def test_the_message_and_the_limits_name_what_nodes_grant() -> None:
    model = grown(lambda _: 1, replicas=Bounds(min=2, max=4))
    assert model.size == (1, 4)
    status, message = condition(model.last, "ScalingLimited")
    assert status is True
    assert "at most 4 can run" in message
    assert "replicas.max 4 x 1 worker per pod" in message
    assert "ResizeDeferred" in message
    assert "raise workers.max" not in message
    assert model.last.need.binding.value == "Ceiling"
    assert "pods cannot have more than 1 worker each" in model.last.message


def test_scaling_is_not_limited_while_pods_make_up_for_it() -> None:
    model = grown(lambda _: 1, seconds=120)
    assert condition(model.last, "ScalingLimited")[0] is False
    assert model.last.workers * model.replicas >= model.last.need.workers


def test_nothing_waits_when_the_load_fits_the_smallest_fleet_as_granted() -> None:
    model = grown(lambda _: 1)
    assert condition(model.last, "ResizeDeferred")[0] is True
    model.rate = 20.0
    model.run(400)
    assert condition(model.last, "ResizeDeferred")[0] is False
