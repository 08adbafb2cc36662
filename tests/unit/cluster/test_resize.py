"""The pending resize, from the pod's conditions."""

from typing import Any

from aiapi_operator.cluster.resize import PendingResize, pending


def pod(*conditions: dict[str, Any], generation: int = 3) -> dict[str, Any]:
    return {"metadata": {"generation": generation}, "status": {"conditions": list(conditions)}}


def waiting(**fields: Any) -> dict[str, Any]:
    return {"type": "PodResizePending", "status": "True", "reason": "Deferred", **fields}


def test_pending_returns_reason_and_message() -> None:
    for reason in ("Deferred", "Infeasible"):
        condition = waiting(reason=reason, message="no CPU")
        found = pending(pod({"type": "Ready", "status": "True"}, condition))
        assert found == PendingResize(reason, "no CPU", current=False)


def test_an_answer_to_an_older_resize_does_not_count() -> None:
    assert pending(pod(waiting(observedGeneration=2))) is None
    found = pending(pod(waiting(observedGeneration=3)))
    assert found is not None
    assert found.current


def test_nothing_is_pending_without_the_condition() -> None:
    assert pending({}) is None
    assert pending(pod({"type": "PodResizePending", "status": "False"})) is None
    assert pending(pod({"type": "PodResizeInProgress", "status": "True"})) is None
