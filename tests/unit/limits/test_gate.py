"""Which requests are admitted, queued and refused, and how a caller may change its priority."""

import pytest

from aiapi_runtime.limits.gate import Gate
from aiapi_runtime.limits.priority import Priority, by_header

NORMAL, HIGH, LOW = Priority.NORMAL, Priority.HIGH, Priority.LOW


def full(limit=8):
    gate = Gate(limit)
    for _ in range(limit):
        assert gate.try_enter(NORMAL)
    return gate


async def test_a_freed_place_goes_to_the_longest_waiting_request():
    gate = full(16)
    first, second = gate.enqueue(NORMAL), gate.enqueue(NORMAL)
    assert gate.enqueue(NORMAL) is None, "the queue is short"
    gate.leave()
    assert first.result() is True
    assert not second.done()
    assert gate.open == 16


async def test_only_high_priority_passes_the_queue():
    gate = full(16)
    waiting = gate.enqueue(NORMAL)
    important = gate.enqueue(HIGH)
    gate.leave()
    assert important.result() is True
    assert not waiting.done()
    gate.limit = 15
    assert not gate.try_enter(NORMAL)


async def test_high_priority_takes_the_place_of_the_last_when_the_queue_is_full():
    gate = full()
    waiting = gate.enqueue(NORMAL)
    important = gate.enqueue(HIGH)
    assert waiting.result() is False
    gate.leave()
    assert important.result() is True
    second = full()
    second.enqueue(HIGH)
    assert second.enqueue(HIGH) is None


async def test_low_priority_stops_below_the_limit_and_never_queues():
    gate = Gate(10)
    assert [gate.try_enter(LOW) for _ in range(10)] == [True] * 8 + [False] * 2
    assert gate.enqueue(LOW) is None
    assert gate.try_enter(NORMAL)


async def test_an_abandoned_place_is_skipped():
    gate = full(16)
    gone, next_one = gate.enqueue(NORMAL), gate.enqueue(NORMAL)
    gone.set_result(False)
    gate.leave()
    assert next_one.result() is True


async def test_a_higher_limit_admits_the_queue():
    gate = full()
    waiting = gate.enqueue(NORMAL)
    gate.limit = 9
    gate.admit_queued()
    assert waiting.result() is True


@pytest.mark.parametrize(
    ("path", "header", "priority"),
    [
        ("/", None, NORMAL),
        ("/", b"u=3", NORMAL),
        ("/", b"u=5, i", LOW),
        ("/", b"i, u=7", LOW),
        ("/", b"u=0", NORMAL),
        ("/", b"garbage", NORMAL),
        ("/readyz", b"u=7", Priority.EXEMPT),
    ],
)
def test_a_caller_may_lower_its_priority_but_not_raise_it(path, header, priority):
    headers = [(b"host", b"a")] + ([(b"priority", header)] if header else [])
    assert by_header({"path": path, "headers": headers}) is priority
