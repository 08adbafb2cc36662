"""The queue of held requests: order, bounds and deadlines."""

from dataclasses import dataclass, field

import pytest

from aiapi_operator.activator.answers import Answer
from aiapi_operator.activator.backends import Backend
from aiapi_operator.activator.hold import Hold
from aiapi_operator.activator.limits import REQUEST_BODY, Limits


@dataclass(eq=False)
class Request:
    first_byte_at: float = 0.0
    hold_seconds: float = 10.0
    wakes: bool = True
    paused: bool = False
    answers: list[Answer] = field(default_factory=list)

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def forward(self, backend: Backend) -> None: ...

    def answer(self, answer: Answer) -> None:
        self.answers.append(answer)

    def close_unused(self) -> None: ...

    def abort(self) -> None: ...


@pytest.fixture
def hold() -> Hold:
    return Hold(Limits(requests=2, body_bytes=3 * REQUEST_BODY))


def test_the_oldest_is_first_and_one_that_was_put_back_before_it(hold: Hold) -> None:
    one, two = Request(), Request()
    hold.add(one)
    hold.add(two)
    assert hold.pop() is one
    hold.put_back(one)
    assert [hold.pop(), hold.pop(), hold.pop()] == [one, two, None]


def test_it_is_full_at_its_bound(hold: Hold) -> None:
    one = Request()
    hold.add(one)
    assert hold.refusal() == ""
    hold.add(Request())
    assert hold.refusal() == "2 requests are held already"
    hold.discard(one)
    assert hold.refusal() == ""


def test_requests_expire_by_their_own_time(hold: Hold) -> None:
    short, long, late = Request(hold_seconds=2), Request(), Request(first_byte_at=5.0)
    for request in (short, long, late):
        hold.add(request)
    assert hold.expired(1.9) == []
    assert hold.expired(2.0) == [short]
    assert hold.expired(10.0) == [short, long]


def test_one_body_is_read_only_up_to_its_bound(hold: Hold) -> None:
    one, two = Request(), Request()
    hold.buffered(one, REQUEST_BODY)
    hold.buffered(two, 10)
    assert (one.paused, two.paused) == (True, False)


def test_all_wait_when_the_bodies_together_reach_the_bound(hold: Hold) -> None:
    requests = [Request() for _ in range(4)]
    for request in requests[:3]:
        hold.buffered(request, REQUEST_BODY - 10)
    assert not any(request.paused for request in requests)
    hold.buffered(requests[3], 30)
    assert all(request.paused for request in requests)
    assert hold.body_bytes == 3 * REQUEST_BODY
    assert "bytes of body already" in hold.refusal()
    hold.released(requests[0])
    assert [request.paused for request in requests[1:]] == [False, False, False]
    assert hold.refusal() == ""


def test_releasing_twice_counts_once(hold: Hold) -> None:
    one = Request()
    hold.buffered(one, 100)
    hold.released(one)
    hold.released(one)
    assert hold.body_bytes == 0
