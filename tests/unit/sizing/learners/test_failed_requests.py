"""Failed requests: their share of the last minute, and whether they go on."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from unit.sizing.samples import learned, row, tick

from aiapi_operator.sizing.learners import failed_requests
from aiapi_operator.sizing.learners.failed_requests import FailedRequests
from aiapi_operator.sizing.state import Tick

IDLE = {"loop": 0.0, "busiest": 0.0, "arrivals": 0.0, "completed": 0.0, "counts": ()}


def known_after(ticks: Iterable[Tick]) -> FailedRequests:
    known: FailedRequests | None = learned(failed_requests.learn, ticks)
    assert known is not None
    return known


def test_the_worked_example() -> None:
    """600 requests in a minute: 45 server errors, 9 shed, 6 clients that disconnect."""
    minute = row(
        arrivals=10.0, completed=9.85, shed=0.15, server_errors=0.75, cancelled=0.1, busiest=0.2
    )
    known = known_after(minute)
    assert known.shares.total == pytest.approx(0.09)
    assert known.latch.on
    busy = known_after(replace(each, busiest=0.9) for each in minute)
    assert busy.shares.total == pytest.approx(0.1)


def test_a_client_that_disconnects_is_a_failure_at_busy_loops_or_where_most_do() -> None:
    def share(cancelled: float, busiest: float) -> float:
        return known_after(row(cancelled=cancelled, busiest=busiest)).shares.total

    assert (share(20.0, 0.3), share(20.0, 0.9), share(60.0, 0.3)) == (0.0, 0.2, 0.6)
    assert not known_after(row(cancelled=20.0, busiest=0.3)).counts_cancelled
    assert known_after(row(cancelled=20.0, busiest=0.9)).counts_cancelled


def test_few_failures_are_chance_until_they_add_up() -> None:
    """One request every 20 s fails: 3 in a minute are too few, 5 in 100 s are not."""
    lonely = [
        tick(2.0 * i, **(IDLE | {"completed": 0.5, "server_errors": 0.5} if i % 10 == 0 else IDLE))
        for i in range(1, 61)
    ]
    assert not known_after(lonely[:45]).latch.on
    assert known_after(lonely[:50]).latch.on


def test_a_few_of_many_do_not_fail() -> None:
    assert not known_after(row(server_errors=4.0)).latch.on
    assert known_after(row(server_errors=5.5)).latch.on


def test_failing_ends_after_a_calm_minute_and_not_before() -> None:
    failing = row(30, server_errors=50.0)
    after = row(90, start=60.0)
    assert known_after((*failing, *after[:35])).latch.on
    ended = known_after((*failing, *after))
    assert not ended.latch.on
    assert ended.since is None


def test_a_share_between_the_thresholds_changes_nothing() -> None:
    failing, between = row(30, server_errors=50.0), row(150, start=60.0, server_errors=3.0)
    assert known_after((*failing, *between)).latch.on
    assert not known_after(between).latch.on


def test_a_minute_without_requests_changes_nothing() -> None:
    failing, silent = row(30, server_errors=50.0), row(60, start=60.0, **IDLE)
    known = known_after((*failing, *silent))
    assert known.latch.on
    assert known.shares == known_after(failing).shares
    assert not known.recent
