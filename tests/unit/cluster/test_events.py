"""Events: posted once, counted when repeated, limited per AIApi."""

from typing import Any

from aiapi_operator.cluster.connection import Request
from aiapi_operator.cluster.errors import NotFound
from aiapi_operator.cluster.events import EventRecorder

AIAPI = {
    "apiVersion": "aiapi.dev/v1alpha1",
    "kind": "AIApi",
    "metadata": {"name": "a", "namespace": "shop", "uid": "u1", "resourceVersion": "5"},
}


class Api:
    def __init__(self) -> None:
        self.sent: list[Request] = []
        self.expired = False

    async def send(self, request: Request) -> Any:
        self.sent.append(request)
        if self.expired and request.method == "PATCH":
            raise NotFound("expired")


class Desk:
    def __init__(self) -> None:
        self.api, self.now = Api(), 0.0
        self.recorder = EventRecorder(
            self.api,  # type: ignore[arg-type] # the part of Connection that is used
            instance="aiapi-operator-1",
            clock=lambda: self.now,
        )

    async def say(self, message: str, times: int = 1) -> None:
        for _ in range(times):
            await self.recorder.emit(AIAPI, kind="Normal", reason="ScaledUp", message=message)

    @property
    def methods(self) -> list[str]:
        return [request.method for request in self.api.sent]


async def test_an_event_has_object_reason_and_message() -> None:
    desk = Desk()
    await desk.say("2 pods x 1 -> 2 pods x 2")
    (request,) = desk.api.sent
    assert request.path == "/api/v1/namespaces/shop/events"
    body = request.body
    assert body["involvedObject"]["uid"] == "u1"
    assert (body["type"], body["reason"]) == ("Normal", "ScaledUp")
    assert body["message"] == "2 pods x 1 -> 2 pods x 2"
    assert body["source"]["component"] == "aiapi-operator"
    assert body["metadata"]["name"].startswith("a.")


async def test_a_repeated_event_increases_the_count() -> None:
    desk = Desk()
    await desk.say("same", times=3)
    assert desk.methods == ["POST", "PATCH", "PATCH"]
    assert desk.api.sent[-1].body["count"] == 3


async def test_an_expired_event_is_posted_again() -> None:
    desk = Desk()
    await desk.say("same")
    desk.api.expired = True
    await desk.say("same")
    assert desk.methods == ["POST", "PATCH", "POST"]


async def test_a_flapping_aiapi_is_rate_limited() -> None:
    desk = Desk()
    for number in range(500):
        await desk.say(f"change {number}")
    assert len(desk.api.sent) == 60
    desk.now += 100
    for number in range(500):
        await desk.say(f"another {number}")
    assert len(desk.api.sent) == 70
