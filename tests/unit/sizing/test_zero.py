"""When a fleet stops, and with how many pods it comes back."""

import doctest

import pytest

from aiapi_operator.sizing import zero
from aiapi_operator.sizing.zero import WakeUps


def test_the_examples() -> None:
    assert doctest.testmod(zero).failed == 0


@pytest.mark.parametrize(
    ("idle", "wakes", "now", "reason"),
    [
        (None, (), False, "it is not known of every pod whether it has requests"),
        (0.0, (), False, "no request for 0s of 5m"),
        (299.0, (), False, "no request for 4m59s of 5m"),
        (300.0, (), True, "no request for 5m"),
        (
            400.0,
            (8000.0, 9000.0),
            False,
            "no request for 6m40s of 10m, 2 times toZeroAfter because it was woken often",
        ),
        (
            600.0,
            (8000.0, 9000.0),
            True,
            "no request for 10m, 2 times toZeroAfter because it was woken often",
        ),
    ],
)
def test_a_fleet_stops_after_its_patience(
    idle: float | None, wakes: tuple[float, ...], now: bool, reason: str
) -> None:
    found = zero.sleep(300.0, idle, wakes, 10_000.0)
    assert (found.now, found.reason) == (now, reason)


@pytest.mark.parametrize(
    ("ago", "expected"),
    [
        ((), 300.0),
        ((3600.0,), 300.0),
        ((3599.0,), 300.0),
        ((10.0, 20.0), 600.0),
        ((10.0, 20.0, 30.0, 40.0), 900.0),
    ],
)
def test_each_earlier_wake_up_of_the_last_hour_adds_as_much_again(
    ago: tuple[float, ...], expected: float
) -> None:
    assert zero.patience(300.0, [10_000.0 - each for each in ago], 10_000.0) == expected


def test_only_recent_wake_ups_are_kept() -> None:
    known = WakeUps()
    for now in (0.0, 3000.0, 3100.0, 3200.0, 3300.0):
        known = zero.woken(known, now)
    assert known.recent == (3100.0, 3200.0, 3300.0)
    assert zero.woken(known, 6800.0).recent == (3300.0, 6800.0)


def test_the_first_wake_up_of_an_hour_counts_fully_and_others_for_three_tenths() -> None:
    known = zero.learn(WakeUps(), 9, 4)
    assert (zero.pods(known, 9, 20), zero.pods(known, 10, 20)) == (4, 1)
    known = zero.learn(known, 9, 2)
    assert known.hourly[9] == pytest.approx(3.4)
    assert zero.pods(known, 9, 20) == 4
    assert zero.pods(zero.learn(known, 9, 1), 9, 20) == 3


def test_no_more_pods_are_started_than_may_run() -> None:
    assert zero.pods(zero.learn(WakeUps(), 0, 40), 24, 8) == 8
    assert zero.pods(WakeUps(), 3, 8) == 1
