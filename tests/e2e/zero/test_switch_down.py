"""Requests at random moments around the switch to zero, before and after each of its steps."""

import os
import random
from collections.abc import Callable

import pytest
from e2e_support.zero import AFTER, GRACE, Client, Result, Zero, lost

AT_ONCE = 8
"""AIApis that go to zero at the same time."""
ROUNDS = int(os.environ.get("ROUNDS", "200"))
BURST = 10
EARLIEST, LATEST = AFTER - 2, AFTER + GRACE + 8
"""Seconds after the last request. The fleet leaves after 30 s, and sleeps some 8 s later."""


def test_a_few_moments(create: Callable[[], Zero]) -> None:
    results = _around_switch(create, 4)
    assert [lost(each) for each in results] == [[]] * 4
    assert [len(each) for each in results] == [1 + BURST] * 4


@pytest.mark.long_zero
@pytest.mark.timeout(7200)
def test_many_moments(create: Callable[[], Zero]) -> None:
    for _ in range(ROUNDS // AT_ONCE):
        results = _around_switch(create, AT_ONCE)
        assert [lost(each) for each in results] == [[]] * AT_ONCE
        assert [len(each) for each in results] == [1 + BURST] * AT_ONCE


def _around_switch(create: Callable[[], Zero], count: int) -> list[list[Result]]:
    """Some AIApis, each with a burst at its own moment."""
    fleets = [create() for _ in range(count)]
    for each in fleets:
        each.deploy()
    for each in fleets:
        each.wait_answering()
        each.wait_phase("Serving")
    clients = [_burst_around_switch(each) for each in fleets]
    return [each.results(within=LATEST + 90) for each in clients]


def _burst_around_switch(zero: Zero) -> Client:
    first = random.uniform(EARLIEST, LATEST)  # noqa: S311 - not a secret
    burst = [{"at": first + random.expovariate(1.0)} for _ in range(BURST)]
    return zero.send({"at": 0}, *burst)
