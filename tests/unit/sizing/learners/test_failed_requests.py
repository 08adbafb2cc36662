"""Failing requests are reported with their kind, and they are neither 4xx nor closed pages."""

from collections.abc import Iterable
from dataclasses import replace
from math import inf, nan
from typing import Any

import pytest
from unit.sizing.fleet_model import FleetModel, spec
from unit.sizing.samples import facts, learned, pod, row, tick

from aiapi_operator.sizing.decide import decide
from aiapi_operator.sizing.decision import Binding, Condition, Decision
from aiapi_operator.sizing.diagnoses import requests_failing
from aiapi_operator.sizing.inputs import Fleet
from aiapi_operator.sizing.learners import failed_requests
from aiapi_operator.sizing.learners.failed_requests import FailedRequests
from aiapi_operator.sizing.requirement import Requirement, together
from aiapi_operator.sizing.state import Size, State, Tick

NONE_NEEDED = together([Requirement(binding=Binding.HELD, reason="", workers=1.0, survivors=0.0)])
IDLE = {"loop": 0.0, "busiest": 0.0, "arrivals": 0.0, "completed": 0.0, "counts": ()}


def known_after(ticks: Iterable[Tick]) -> FailedRequests:
    known: FailedRequests | None = learned(failed_requests.learn, ticks)
    assert known is not None
    return known


def condition_after(ticks: Iterable[Tick], **changes: Any) -> Condition:
    ticks = tuple(ticks)
    user_spec = replace(spec(), **changes)
    seen = facts(ticks[-30:], known=[known_after(ticks)], user_spec=user_spec)
    return requests_failing.check(seen, NONE_NEEDED, Size(workers=1, replicas=2))


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


def test_client_errors_and_closed_pages_are_no_failures() -> None:
    # Half of them are 4xx, which are in "completed" alone; a fifth of the clients disconnect.
    calm = condition_after(row(completed=100.0, cancelled=20.0, busiest=0.3))
    assert (calm.status, calm.reason) == (False, "RequestsSucceed")
    assert calm.message == "0 % of the requests of the last minute failed."


@pytest.mark.parametrize(
    ("changes", "reason", "text"),
    [
        ({"server_errors": 8.0}, "ServerErrors", "8 % server errors"),
        ({"shed": 50.0, "completed": 50.0}, "RequestsShed", "50 % shed"),
        ({"cancelled": 20.0, "busiest": 0.95}, "ClientsGiveUp", "20 % cancelled by clients"),
        ({"cancelled": 80.0, "busiest": 0.1}, "ClientsGiveUp", "80 % cancelled by clients"),
    ],
)
def test_the_reason_is_the_kind_that_fails_most(
    changes: dict[str, float], reason: str, text: str
) -> None:
    found = condition_after(row(**changes))
    assert (found.status, found.reason) == (True, reason)
    assert text in found.message


def test_the_message_has_the_time_since_when_they_fail() -> None:
    ticks = (*row(), *row(30, start=60.0, server_errors=10.0))
    noon = 1_790_078_400.0
    assert "since 2026-09-22 11:59 UTC." in condition_after(ticks, time_of_day=noon).message
    for clock in (None, nan, inf, -5.0):
        assert "for 30 s." in condition_after(ticks, time_of_day=clock).message


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


def test_without_requests_the_last_finding_stays() -> None:
    silent = [replace(each, **IDLE) for each in row(60, start=60.0)]
    found = condition_after((*row(30, server_errors=50.0), *silent))
    assert found.status is True
    assert "of the last minute with requests failed" in found.message
    assert condition_after(silent).status is None


def answered_with_500(seconds: int = 60) -> list[Decision]:
    """Every response of two pods is a 500: 3 a second, so 190 in about a minute."""
    state, found = State(), []
    for at in range(0, seconds + 1, 2):
        pods = tuple(
            pod(float(at), name, succeeded=0, server_errors=3 * at // 2, in_flight=0)
            for name in ("a", "b")
        )
        found.append(decide(spec(), Fleet(replicas=2, pods=pods), state, float(at)))
        state = found[-1].state
    return found


def test_a_fleet_that_answers_with_500_only_is_not_well() -> None:
    last = answered_with_500()[-1]
    assert last.load.failing == 1.0
    (found,) = [each for each in last.conditions if each.type == "RequestsFailing"]
    assert (found.status, found.reason) == (True, "ServerErrors")
    assert "100 % of the requests of the last minute failed" in found.message


def test_a_healthy_fleet_has_no_failures() -> None:
    model = FleetModel(spec())
    model.run(120)
    assert model.last.load.failing == 0.0
    (found,) = [each for each in model.last.conditions if each.type == "RequestsFailing"]
    assert found.status is False


def test_before_the_first_requests_nothing_is_known() -> None:
    model = FleetModel(spec())
    model.rate = 0.0
    model.run(10)
    assert model.last.load.failing is None
