"""A rejected request is repeated later and later, at most a minute apart."""

from aiapi_operator.engine.rejection import Rejection, reject


def again(previous: Rejection | None) -> Rejection:
    return reject(previous, "a", "no", now=100.0, first_delay=2.0)


def test_each_delay_is_twice_the_previous_one_up_to_a_minute() -> None:
    delays, previous = [], None
    for _ in range(8):
        previous = again(previous)
        delays.append(previous.retry_at - 100.0)
    assert delays == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]


def test_only_the_same_request_waits() -> None:
    rejection = again(None)
    assert rejection.message == "no"
    assert rejection.blocks("a", now=101.9)
    assert not rejection.blocks("a", now=102.0)
    assert not rejection.blocks("b", now=101.9)
