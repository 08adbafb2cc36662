"""RequestsFailing: which requests fail, since when, and what helps."""

from collections.abc import Iterable
from dataclasses import replace
from math import inf, nan
from typing import Any

import pytest
from unit.sizing.fleet_model import FleetModel, spec
from unit.sizing.requirements import needed, size
from unit.sizing.samples import facts, learned, pod, row

from aiapi_operator.sizing.decide import decide
from aiapi_operator.sizing.decision import Condition, Decision
from aiapi_operator.sizing.diagnoses import requests_failing
from aiapi_operator.sizing.inputs import Fleet
from aiapi_operator.sizing.learners import failed_requests
from aiapi_operator.sizing.state import State, Tick


def condition_after(ticks: Iterable[Tick], **changes: Any) -> Condition:
    ticks = tuple(ticks)
    known = learned(failed_requests.learn, ticks)
    seen = facts(ticks[-30:], known=[known], user_spec=replace(spec(), **changes))
    return requests_failing.check(seen, needed(1.0), size(1, 2))


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


def test_few_failures_and_closed_pages_are_well() -> None:
    calm = condition_after(row(server_errors=0.5, cancelled=20.0, busiest=0.3))
    assert (calm.status, calm.reason) == (False, "RequestsSucceed")
    assert calm.message == "0.5 % of the requests of the last minute failed."


def test_the_message_has_the_time_since_when_they_fail() -> None:
    ticks = (*row(), *row(30, start=60.0, server_errors=10.0))
    noon = 1_790_078_400.0
    assert "since 2026-09-22 11:59 UTC." in condition_after(ticks, time_of_day=noon).message
    for clock in (None, nan, inf, -5.0):
        assert "for 30 s." in condition_after(ticks, time_of_day=clock).message


def test_without_requests_the_last_finding_stays() -> None:
    idle = {"loop": 0.0, "busiest": 0.0, "arrivals": 0.0, "completed": 0.0, "counts": ()}
    silent = row(60, start=60.0, **idle)
    found = condition_after((*row(30, server_errors=50.0), *silent))
    assert found.status is True
    assert "of the last minute with requests failed" in found.message
    none = condition_after(silent)
    assert (none.status, none.reason) == (None, "NoData")


def answered_with(outcome: str) -> Decision:
    """Two pods, each with 1.5 responses a second for a minute, all with this outcome."""
    state = State()
    for at in range(0, 61, 2):
        counts = {"succeeded": 0, outcome: 3 * at // 2, "in_flight": 0}
        pods = tuple(pod(float(at), name, **counts) for name in ("a", "b"))
        decision = decide(spec(), Fleet(replicas=2, pods=pods), state, float(at))
        state = decision.state
    return decision


def requests_failing_of(decision: Decision) -> Condition:
    (found,) = [each for each in decision.conditions if each.type == "RequestsFailing"]
    return found


def test_a_fleet_that_answers_with_500_only_is_not_well() -> None:
    last = answered_with("server_errors")
    assert last.load.failing == 1.0
    found = requests_failing_of(last)
    assert (found.status, found.reason) == (True, "ServerErrors")
    assert "100 % of the requests of the last minute failed" in found.message


@pytest.mark.parametrize("outcome", ["succeeded", "client_errors"])
def test_a_fleet_whose_clients_make_mistakes_is_well(outcome: str) -> None:
    last = answered_with(outcome)
    assert last.load.failing == 0.0
    assert requests_failing_of(last).status is False


def test_before_the_first_requests_nothing_is_known() -> None:
    model = FleetModel(spec())
    model.rate = 0.0
    model.run(10)
    assert model.last.load.failing is None
    assert requests_failing_of(model.last).status is None
