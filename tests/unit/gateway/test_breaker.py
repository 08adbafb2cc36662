"""The circuit breaker, with time as an argument."""

from aiapi_service.gateway.upstreams.breaker import BreakerState, CircuitBreaker


def failing(breaker: CircuitBreaker, times: int, now: float) -> None:
    for _ in range(times):
        assert breaker.allow(now)
        breaker.failed(now)


def test_it_opens_after_enough_failures() -> None:
    breaker = CircuitBreaker(failures=3, seconds=5)
    failing(breaker, 2, 0)
    assert breaker.state(0) is BreakerState.CLOSED
    failing(breaker, 1, 0)
    assert breaker.state(1) is BreakerState.OPEN
    assert not breaker.allow(1)
    assert breaker.wait(1) == 4


def test_failures_below_half_of_the_calls_do_not_open_it() -> None:
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


def test_half_open_allows_one_trial_call_and_closes_on_success() -> None:
    breaker = CircuitBreaker(failures=1, seconds=5)
    failing(breaker, 1, 0)
    assert breaker.state(5) is BreakerState.HALF_OPEN
    assert breaker.allow(5)
    assert not breaker.allow(5)
    breaker.succeeded(6)
    assert breaker.state(6) is BreakerState.CLOSED
    assert breaker.allow(6)


def test_each_failed_trial_doubles_the_pause_up_to_a_minute() -> None:
    breaker = CircuitBreaker(failures=1, seconds=5)
    failing(breaker, 1, 0)
    now, pauses = 0.0, []
    for _ in range(6):
        now += breaker.wait(now)
        failing(breaker, 1, now)
        pauses.append(breaker.wait(now))
    assert pauses == [10, 20, 40, 60, 60, 60]


def test_an_abandoned_trial_allows_another() -> None:
    breaker = CircuitBreaker(failures=1, seconds=5)
    failing(breaker, 1, 0)
    assert breaker.allow(5)
    breaker.abandoned()
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


def test_a_slow_trial_allows_another_after_a_second() -> None:
    breaker = CircuitBreaker(failures=1, seconds=5)
    failing(breaker, 1, 0)
    assert breaker.allow(5)
    assert not breaker.allow(5.9)
    assert breaker.allow(6)
    assert not breaker.allow(6.9)
    breaker.succeeded(7)
    assert breaker.state(7) is BreakerState.CLOSED


def test_a_call_that_fails_late_counts_once() -> None:
    breaker = CircuitBreaker(failures=3, seconds=5)
    breaker.succeeded(0)
    breaker.succeeded(0)
    for _ in range(3):
        breaker.succeeded(1)
        breaker.failed_late(2)
    assert breaker.state(2) is BreakerState.OPEN, "three of five calls have failed"
