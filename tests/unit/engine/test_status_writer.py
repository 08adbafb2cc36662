"""Telling: status when it means something, an Event for each change, and no more than that."""

from dataclasses import replace
from typing import Any

import pytest
from engine_support.world import World

from aiapi_operator.cluster.errors import Unavailable
from aiapi_operator.engine import sizer
from aiapi_operator.engine.existence import AIApiDeletedError
from aiapi_operator.engine.status import Deadband
from aiapi_operator.sizing.decide import decide as real_decide
from aiapi_operator.sizing.decision import Condition, Decision, Verdict


@pytest.fixture
def changes(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Fields of the decision as a test wants them."""
    wanted: dict[str, Any] = {}

    def scripted(*arguments: Any) -> Decision:
        return replace(real_decide(*arguments), **wanted)

    monkeypatch.setattr(sizer, "decide", scripted)
    return wanted


def writes(world: World) -> int:
    return world.cluster.done.count(("status",))


async def test_the_status_says_what_there_is() -> None:
    world = World(spec={"objective": {"latency": {"percentile": 99}}})
    await world.settle()
    told = world.written
    assert told["observedGeneration"] == 1
    assert told["selector"] == "aiapi.dev/name=a"
    assert (told["replicas"], told["readyReplicas"], told["workers"]) == (2, 2, 1)
    assert told["load"]["percentile"] == "p99"
    assert told["need"]["binding"] == "Floor"
    assert told["decision"]["reason"] == "Steady"
    assert world.condition("Ready") == {
        "type": "Ready",
        "status": "True",
        "reason": "Serving",
        "message": "2 of 2 pods are ready.",
        "lastTransitionTime": world.condition("Ready")["lastTransitionTime"],
        "observedGeneration": 1,
    }


async def test_the_uid_keeps_the_status_from_a_namesake() -> None:
    world = World()
    await world.settle()
    del world.cluster.objects["AIApi", "a"]
    world.state.writer.written = None
    with pytest.raises(AIApiDeletedError):
        await world.tick()


async def test_numbers_are_told_when_they_move_and_every_few_seconds_at_most(
    changes: dict[str, Any],
) -> None:
    world = World()
    await world.settle()
    decision = world.state.writer.decision
    assert decision is not None
    for rate in (100.0, 101.0, 99.0, 102.0, 98.0):
        changes["load"] = replace(decision.load, arrivals_per_second=rate)
        await world.tick(after=6.0)
    assert writes(world) == 1
    assert world.written["load"]["requestsPerSecond"] == "100"
    for rate in (200.0, 400.0, 800.0):
        changes["load"] = replace(decision.load, arrivals_per_second=rate)
        await world.tick(after=1.0)
    assert writes(world) == 2
    assert world.written["load"]["requestsPerSecond"] == "200"
    await world.tick(after=5.0)
    assert writes(world) == 3
    assert world.written["load"]["requestsPerSecond"] == "800"


async def test_another_sentence_alone_is_not_worth_a_write(changes: dict[str, Any]) -> None:
    world = World()
    await world.settle()
    changes["message"] = "the same in other words"
    await world.tick(after=60)
    assert writes(world) == 0


async def test_a_change_is_told_at_once_with_an_event(changes: dict[str, Any]) -> None:
    world = World()
    await world.settle()
    changes |= {"replicas": 3, "verdict": Verdict.SCALED_UP, "message": "3 pods needed"}
    await world.tick(after=0.5)
    await world.tick(after=0.5)
    assert writes(world) == 1
    assert world.written["decision"]["time"] == f"T{world.now - 0.5:.0f}"
    assert world.cluster.events == [("ScaledUp", "3 pods needed")]


async def test_a_diagnosis_that_turns_true_is_an_event_and_keeps_its_time(
    changes: dict[str, Any],
) -> None:
    world = World()
    await world.settle()
    slow = Condition(type="DependencyBound", status=True, reason="UpstreamSlow", message="slow")
    changes["conditions"] = (slow,)
    await world.tick()
    since = world.condition("DependencyBound")["lastTransitionTime"]
    changes["conditions"] = (replace(slow, reason="UpstreamSlower"),)
    await world.tick(after=20)
    told = world.condition("DependencyBound")
    assert (told["reason"], told["lastTransitionTime"]) == ("UpstreamSlower", since)
    assert world.cluster.events == [("DependencyBound", "slow")]


async def test_a_new_operator_does_not_tell_again_what_was_told(changes: dict[str, Any]) -> None:
    world = World()
    await world.settle()
    heir = World()
    heir.cluster.objects = world.cluster.objects
    heir.pods.answers = world.pods.answers
    heir.state.update_manifest(world.cluster.objects["AIApi", "a"])
    changes |= {
        name: getattr(world.state.writer.decision, name)
        for name in ("verdict", "message", "need", "load", "conditions")
    }
    await heir.tick()
    assert writes(heir) == 0
    assert heir.cluster.events == []


async def test_a_status_that_cannot_be_written_is_told_later(changes: dict[str, Any]) -> None:
    world = World()
    await world.settle()
    world.cluster.refuse[("status",)] = Unavailable("no answer")
    changes |= {"replicas": 3, "verdict": Verdict.SCALED_UP}
    await world.tick()
    assert ("scale", "3") in world.cluster.done
    world.cluster.refuse.clear()
    await world.tick()
    assert world.written["decision"]["replicas"] == 3


def test_a_number_is_told_anew_only_when_it_moved() -> None:
    deadband = Deadband()
    told = [deadband.filter("x", value, absolute=0.5) for value in (10.0, 10.9, 11.1, None, 0.4)]
    assert told == [10.0, 10.0, 11.1, None, 0.4]


async def test_the_operators_own_failure_is_told() -> None:
    world = World()
    await world.settle()
    await world.engine.fail(world.state, KeyError("spec"))
    told = world.condition("Reconciled")
    assert (told["status"], told["reason"]) == ("False", "OperatorError")
    assert "KeyError" in told["message"]
    assert world.written["decision"]["replicas"] == 2
