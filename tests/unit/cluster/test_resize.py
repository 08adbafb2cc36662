"""Why a resize waits is in the pod's conditions."""

from typing import Any

from aiapi_operator.cluster.resize import pending


def pod(*conditions: dict[str, Any]) -> dict[str, Any]:
    return {"status": {"conditions": list(conditions)}}


def test_a_node_that_is_full_now_or_always() -> None:
    for reason in ("Deferred", "Infeasible"):
        told = {"type": "PodResizePending", "status": "True", "reason": reason}
        assert pending(pod({"type": "Ready", "status": "True"}, told)) == reason


def test_nothing_waits() -> None:
    assert pending({}) == ""
    assert pending(pod({"type": "PodResizePending", "status": "False"})) == ""
    assert pending(pod({"type": "PodResizeInProgress", "status": "True"})) == ""
