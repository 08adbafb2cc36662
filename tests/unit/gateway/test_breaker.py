"""The circuit breaker, with time as an argument."""

from aiapi_service.gateway.upstreams.breaker import BreakerState, CircuitBreaker


def failing(breaker: CircuitBreaker, times: int, now: float) -> None:
    for _ in range(times):
        assert breaker.allow(now)
        breaker.failed(now)


def test_it_opens_after_enough_failures_and_says_how_long() -> None:
    breaker = CircuitBreaker(failures=3, seconds=5)
    failing(breaker, 2, 0)
    assert breaker.state(0) is BreakerState.CLOSED
    failing(breaker, 1, 0)
    assert breaker.state(1) is BreakerState.OPEN
    assert not breaker.allow(1)
    assert breaker.wait(1) == 4


def test_failures_among_many_good_calls_do_not_open_it() -> None:
    breaker = CircuitBreaker(failures=3, seconds=5)
    for _ in range(20):
        breaker.succeeded(0)
    failing(breaker, 10, 0)
    assert breaker.state(0) is BreakerState.CLOSED


def test_old_failures_are_forgotten() -> None:
    breaker = CircuitBreaker(failures=3, seconds=5)
    failing(breaker, 2, 0)
    failing(breaker, 2, 11)
    assert breaker.state(11) is BreakerState.CLOSED


def test_half_open_lets_one_call_try_and_closes_when_it_is_good() -> None:
    breaker = CircuitBreaker(failures=1, seconds=5)
    failing(breaker, 1, 0)
    assert breaker.state(5) is BreakerState.HALF_OPEN
    assert breaker.allow(5)
    assert not breaker.allow(5)
    breaker.succeeded(6)
    assert breaker.state(6) is BreakerState.CLOSED
    assert breaker.allow(6)


def test_each_failed_try_doubles_the_pause_up_to_a_minute() -> None:
    breaker = CircuitBreaker(failures=1, seconds=5)
    failing(breaker, 1, 0)
    now, pauses = 0.0, []
    for _ in range(6):
        now += breaker.wait(now)
        failing(breaker, 1, now)
        pauses.append(breaker.wait(now))
    assert pauses == [10, 20, 40, 60, 60, 60]


def test_a_try_that_nobody_waits_for_makes_room_for_another() -> None:
    breaker = CircuitBreaker(failures=1, seconds=5)
    failing(breaker, 1, 0)
    assert breaker.allow(5)
    breaker.dropped()
    assert breaker.allow(5)


def test_late_failures_of_earlier_calls_do_not_lengthen_the_pause() -> None:
    breaker = CircuitBreaker(failures=1, seconds=5)
    failing(breaker, 1, 0)
    breaker.failed(4)
    assert breaker.wait(4) == 1


def test_late_successes_of_earlier_calls_do_not_close_it() -> None:
    breaker = CircuitBreaker(failures=1, seconds=5)
    failing(breaker, 1, 0)
    breaker.succeeded(1)
    assert breaker.state(1) is BreakerState.OPEN
    assert breaker.wait(1) == 4


def test_a_try_that_takes_long_keeps_others_back_for_a_second_only() -> None:
    breaker = CircuitBreaker(failures=1, seconds=5)
    failing(breaker, 1, 0)
    assert breaker.allow(5)
    assert not breaker.allow(5.9)
    assert breaker.allow(6)
    assert not breaker.allow(6.9)
    breaker.succeeded(7)
    assert breaker.state(7) is BreakerState.CLOSED


def test_a_call_that_began_well_and_ended_badly_is_one_call() -> None:
    breaker = CircuitBreaker(failures=3, seconds=5)
    breaker.succeeded(0)
    breaker.succeeded(0)
    for _ in range(3):
        breaker.succeeded(1)
        breaker.spoiled(2)
    assert breaker.state(2) is BreakerState.OPEN, "three of five calls have failed"
