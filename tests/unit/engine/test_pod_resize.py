"""The next step of one pod: up by resources first, down by workers first."""

from dataclasses import replace

from engine_support.samples import sample

from aiapi_operator.engine.pod_resize import ResizeStep, next_step
from aiapi_operator.engine.pod_view import PodView, Resources


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
        resize_pending="",
        deletion_cost=0,
        problem=None,
    )


def step(of: PodView, wanted: int, **said: int) -> ResizeStep:
    says = sample(**{"workers": 2, **said})
    return next_step(of, says, workers=wanted, resources=size(wanted))


def test_a_pod_as_wanted_needs_nothing() -> None:
    assert step(pod(2), 2) == ResizeStep()


def test_amounts_count_and_not_how_they_are_written() -> None:
    same = {"requests": {"cpu": 1, "memory": "524288Ki"}, "limits": {"nvidia.com/gpu": "1"}}
    assert step(replace(pod(2), resources=same, actual=same), 2) == ResizeStep()


def test_up_begins_with_resources() -> None:
    assert step(pod(2), 4) == ResizeStep(resize=size(4))


def test_workers_wait_until_the_kubelet_has_given_the_resources() -> None:
    promised = replace(pod(4), actual=size(2))
    assert step(promised, 4) == ResizeStep()
    assert step(pod(4), 4) == ResizeStep(workers=4)


def test_a_kubelet_that_does_not_tell_is_taken_at_its_word() -> None:
    assert step(replace(pod(4), actual=None), 4) == ResizeStep(workers=4)


def test_no_workers_while_the_node_has_no_room() -> None:
    assert step(replace(pod(4), resize_pending="Deferred"), 4) == ResizeStep(deferred=True)


def test_down_begins_with_workers_and_resources_wait_until_they_are_gone() -> None:
    assert step(pod(4), 2, workers=4) == ResizeStep(workers=2)
    leaving = {"workers_wanted": 2, "workers_ready": 2, "workers_draining": 2}
    assert step(pod(4), 2, **leaving) == ResizeStep()
    gone = {"workers_wanted": 2, "workers_ready": 2, "workers_draining": 0}
    assert step(pod(4), 2, **gone) == ResizeStep(resize=size(2))


def test_fewer_workers_do_not_wait_for_more_resources_each() -> None:
    assert step(pod(1), 2, workers=4) == ResizeStep(resize=size(2), workers=2)
