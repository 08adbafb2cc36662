"""Why the operator's pods are not ready, as doctor reports it."""

from typing import Any

import pytest

from aiapi_operator.cluster.errors import Forbidden, NotFound, Unavailable
from aiapi_operator.plugin.operator_pods import why_not_ready


class Pods:
    """A reader with these pods, whose /readyz fails with ``answer``."""

    def __init__(self, *pods: Any, answer: Exception | None = None) -> None:
        self._pods = pods
        self._answer = answer
        self.asked: list[tuple[str, str, int, str]] = []

    async def pods(self, _namespace: str, _selector: str) -> list[Any]:
        if self._pods and isinstance(self._pods[0], Exception):
            raise self._pods[0]
        return list(self._pods)

    async def pod_answer(self, namespace: str, pod: str, port: int, path: str) -> None:
        self.asked.append((namespace, pod, port, path))
        if self._answer:
            raise self._answer


def pod(**container: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "ops", "name": "operator-1"},
        "spec": {"containers": [{"ports": [{"name": "http", "containerPort": 8090}]}]},
        "status": {"containerStatuses": [container]},
    }


RUNNING = {"state": {"running": {}}}


async def test_the_answer_of_readyz_is_the_reason() -> None:
    why = "not watching yet: the Kubernetes API's certificate is not trusted: no keyUsage"
    reader: Any = Pods(pod(**RUNNING), answer=Unavailable(why))
    assert await why_not_ready(reader, "ops", "a=b") == f"operator-1: {why}"
    assert reader.asked == [("ops", "operator-1", 8090, "readyz")]


async def test_a_crash_is_reported_with_the_last_line_of_the_log() -> None:
    ended = {"message": "Traceback\nOSError: No username set in the environment\n"}
    state = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}}
    reader: Any = Pods(pod(state=state, lastState={"terminated": ended}))
    assert await why_not_ready(reader, "ops", "a=b") == (
        "operator-1: CrashLoopBackOff: OSError: No username set in the environment"
    )
    assert reader.asked == []


async def test_an_image_that_cannot_be_pulled_is_reported() -> None:
    waiting = {"reason": "ErrImagePull", "message": "401 Unauthorized"}
    reader: Any = Pods(pod(state={"waiting": waiting}))
    assert await why_not_ready(reader, "ops", "a=b") == "operator-1: ErrImagePull: 401 Unauthorized"


@pytest.mark.parametrize("answer", [None, NotFound("no proxy"), Forbidden("may not")])
async def test_no_reason_is_made_up(answer: Exception | None) -> None:
    reader: Any = Pods(pod(**RUNNING), answer=answer)
    assert await why_not_ready(reader, "ops", "a=b") == ""
    forbidden: Any = Pods(Forbidden("may not list pods"))
    assert await why_not_ready(forbidden, "ops", "a=b") == ""
