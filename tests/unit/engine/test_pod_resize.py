"""The next step of one pod: up by resources first, down by workers first."""

from dataclasses import replace

from engine_support.samples import sample

from aiapi_operator.cluster.resize import PendingResize
from aiapi_operator.engine.pod_resize import ResizeStep, next_step
from aiapi_operator.engine.pod_view import PodView, Resources

FULL = PendingResize("Deferred", "Node didn't have enough resource: cpu", current=True)


def size(workers: int) -> Resources:
    return {"requests": {"cpu": f"{500 * workers}m", "memory": f"{256 * workers}Mi"}}


def pod(workers: int) -> PodView:
    return PodView(
        name="a-1",
        uid="u",
        address="10.0.0.1",
        running=True,
        ready=True,
        terminating=False,
        finished=False,
        resources=size(workers),
        actual=size(workers),
        resize_pending=None,
        deletion_cost=0,
        problem=None,
    )


def step(of: PodView, wanted: int, **counts: int) -> ResizeStep:
    current = sample(**{"workers": 2, **counts})
    return next_step(of, current, workers=wanted, resources=size(wanted))


def test_a_pod_of_the_wanted_size_needs_no_step() -> None:
    assert step(pod(2), 2) == ResizeStep()


def test_equal_quantities_match_in_any_notation() -> None:
    same = {"requests": {"cpu": 1, "memory": "524288Ki"}, "limits": {"nvidia.com/gpu": "1"}}
    assert step(replace(pod(2), resources=same, actual=same), 2) == ResizeStep()


def test_up_starts_with_resources() -> None:
    assert step(pod(2), 4) == ResizeStep(resize=size(4))


def test_workers_wait_until_the_resize_is_in_effect() -> None:
    resizing = replace(pod(4), actual=size(2))
    assert step(resizing, 4) == ResizeStep()
    assert step(pod(4), 4) == ResizeStep(workers=4)


def test_without_actual_resources_the_resize_counts_as_in_effect() -> None:
    assert step(replace(pod(4), actual=None), 4) == ResizeStep(workers=4)


def test_no_workers_while_the_node_has_no_room() -> None:
    deferred = replace(pod(4), actual=size(2), resize_pending=FULL)
    assert step(deferred, 4) == ResizeStep()
    assert step(replace(deferred, actual=None), 4) == ResizeStep()


def test_fewer_workers_than_a_node_deferred_wait_for_their_own_resize() -> None:
    deferred = replace(pod(8), actual=size(2), resize_pending=FULL)
    assert step(deferred, 4) == ResizeStep(resize=size(4))
    assert step(deferred, 2) == ResizeStep(resize=size(2)), "the request is withdrawn"


def test_down_starts_with_workers_and_resources_follow() -> None:
    assert step(pod(4), 2, workers=4) == ResizeStep(workers=2)
    leaving = {"workers_wanted": 2, "workers_ready": 2, "workers_draining": 2}
    assert step(pod(4), 2, **leaving) == ResizeStep()
    gone = {"workers_wanted": 2, "workers_ready": 2, "workers_draining": 0}
    assert step(pod(4), 2, **gone) == ResizeStep(resize=size(2))


def test_fewer_workers_do_not_wait_for_larger_requests() -> None:
    assert step(pod(1), 2, workers=4) == ResizeStep(resize=size(2), workers=2)
