"""The reason of a pending resize, from the pod's conditions."""

from typing import Any

from aiapi_operator.cluster.resize import pending


def pod(*conditions: dict[str, Any]) -> dict[str, Any]:
    return {"status": {"conditions": list(conditions)}}


def test_pending_returns_the_reason() -> None:
    for reason in ("Deferred", "Infeasible"):
        condition = {"type": "PodResizePending", "status": "True", "reason": reason}
        assert pending(pod({"type": "Ready", "status": "True"}, condition)) == reason


def test_pending_is_empty_without_the_condition() -> None:
    assert pending({}) == ""
    assert pending(pod({"type": "PodResizePending", "status": "False"})) == ""
    assert pending(pod({"type": "PodResizeInProgress", "status": "True"})) == ""
