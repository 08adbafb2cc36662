"""Thread time: what a request holds a thread for, failures aside."""

import pytest
from unit.sizing.samples import facts, row, tick

from aiapi_operator.sizing.learners.thread_time import ThreadTime, learn, mostly_fails
from aiapi_operator.sizing.state import ThreadUse, Tick

KNOWN = ThreadTime(seconds={"anyio": 0.3})


def threads(busy: float, count: int = 3, **changes: object) -> tuple[Tick, ...]:
    use = ThreadUse(name="anyio", limit=40, busy=busy, waiting=0.0)
    return row(count, threads=(use,), **changes)


def after(ticks: tuple[Tick, ...], known: ThreadTime | None = None) -> ThreadTime | None:
    return learn(known, facts(ticks))


def seconds(found: ThreadTime | None) -> float:
    assert found is not None
    return found.seconds["anyio"]


def test_the_worked_example() -> None:
    assert seconds(after(threads(30.0))) == pytest.approx(0.3)


def test_each_pool_has_its_own() -> None:
    both = (
        ThreadUse(name="anyio", limit=40, busy=30.0, waiting=0.0),
        ThreadUse(name="asyncio", limit=5, busy=2.0, waiting=0.0),
    )
    found = after(row(3, threads=both))
    assert found is not None
    assert found.seconds == {"anyio": pytest.approx(0.3), "asyncio": pytest.approx(0.02)}


def test_calls_that_hang_and_fail_are_no_thread_time() -> None:
    hung = threads(80.0, completed=10.0, server_errors=10.0)
    assert after(hung, KNOWN) is KNOWN
    assert seconds(after((*hung, *threads(30.0)), None)) == pytest.approx(0.3)


def test_a_few_always_fail() -> None:
    slow = threads(90.0, server_errors=10.0, cancelled=5.0)
    assert seconds(after(slow, KNOWN)) == pytest.approx(0.9)


def test_a_few_requests_say_nothing() -> None:
    assert after(threads(30.0, completed=3.0), KNOWN) is KNOWN
    assert after(threads(30.0, completed=4.0), KNOWN) is KNOWN
    assert after(threads(30.0, completed=5.0), KNOWN) is not KNOWN, "25 requests in 6 s"


def test_without_threads_what_was_known_stays() -> None:
    assert after(row(3), KNOWN) is KNOWN
    assert learn(KNOWN, facts()) is KNOWN


@pytest.mark.parametrize(
    ("completed", "errors", "cancelled", "most"),
    [(100.0, 49.0, 0.0, False), (100.0, 30.0, 20.0, True), (0.0, 0.0, 0.0, False)],
)
def test_half_is_most(completed: float, errors: float, cancelled: float, most: bool) -> None:
    each = tick(2.0, completed=completed, server_errors=errors, cancelled=cancelled)
    assert mostly_fails(each) == most
