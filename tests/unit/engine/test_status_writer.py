"""The status is written when it matters, with one Event per change."""

from dataclasses import replace
from typing import Any

import pytest
from engine_support.world import OBSERVED, World

from aiapi_operator.cluster.errors import Unavailable
from aiapi_operator.engine import sizer
from aiapi_operator.engine.existence import AIApiDeletedError
from aiapi_operator.engine.status import Deadband
from aiapi_operator.sizing.decide import decide as real_decide
from aiapi_operator.sizing.decision import Condition, Decision, Verdict
from aiapi_operator.sizing.inputs import PodRuntime, PodUnknown


@pytest.fixture
def changes(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Fields of the next decisions, set by a test."""
    wanted: dict[str, Any] = {}

    def scripted(*arguments: Any) -> Decision:
        return replace(real_decide(*arguments), **wanted)

    monkeypatch.setattr(sizer, "decide", scripted)
    return wanted


def writes(world: World) -> int:
    return world.cluster.done.count(("status",))


async def test_the_status_has_all_fields() -> None:
    world = World(spec={"objective": {"latency": {"percentile": 99}}})
    await world.settle()
    found = world.written
    assert found["observedGeneration"] == 1
    assert found["selector"] == "aiapi.dev/name=a"
    assert (found["replicas"], found["readyReplicas"], found["workers"]) == (2, 2, 1)
    assert found["load"]["percentile"] == "p99"
    assert found["need"]["binding"] == "Floor"
    assert found["decision"]["reason"] == "Steady"
    assert world.condition("Ready") == {
        "type": "Ready",
        "status": "True",
        "reason": "Serving",
        "message": "2 of 2 pods are ready.",
        "lastTransitionTime": world.condition("Ready")["lastTransitionTime"],
        "observedGeneration": 1,
    }


async def test_the_status_is_not_written_to_an_aiapi_of_the_same_name() -> None:
    world = World()
    await world.settle()
    del world.cluster.objects["AIApi", "a"]
    world.state.writer.written = None
    with pytest.raises(AIApiDeletedError):
        await world.tick()


async def test_numbers_that_vary_by_chance_are_written_once_a_minute(
    changes: dict[str, Any],
) -> None:
    world = World()
    await world.settle()
    decision = world.state.writer.decision
    assert decision is not None
    for after, rate, in_flight in ((60.0, 100.0, 30.0), (59.0, 120.0, 50.0), (1.0, 80.0, 20.0)):
        load = replace(decision.load, arrivals_per_second=rate, in_flight=in_flight)
        changes["load"] = load
        await world.tick(after=after)
    assert writes(world) == 2
    assert world.written["load"]["requestsPerSecond"] == "80"


async def test_what_workers_use_is_written_at_once(changes: dict[str, Any]) -> None:
    """Pods are resized to it, and a successor that does not know it would resize them back."""
    world = World()
    await world.settle()
    before = writes(world)
    changes["worker_cpu"] = 0.4
    await world.tick(after=1.0)
    await world.tick(after=1.0)
    assert writes(world) == before + 1


async def test_the_reason_of_a_diagnosis_that_does_not_apply_is_written_with_the_numbers(
    changes: dict[str, Any],
) -> None:
    world = World()
    await world.settle()
    fine = Condition(type="DependencyBound", status=False, reason="LatencyNormal", message="")
    changes["conditions"] = (fine,)
    await world.tick(after=60.0)
    changes["conditions"] = (replace(fine, reason="WaitUnexplained"),)
    await world.tick(after=59.0)
    assert world.condition("DependencyBound")["reason"] == "LatencyNormal"
    await world.tick(after=1.0)
    assert world.condition("DependencyBound")["reason"] == "WaitUnexplained"


async def test_jumps_of_the_load_are_written_every_few_seconds_at_most(
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


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0%"), (0.0042, "0.42%"), (0.042, "4.2%"), (0.42, "42%"), (1.0, "100%")],
)
async def test_small_shares_of_failures_are_visible(
    changes: dict[str, Any], share: float, text: str
) -> None:
    world = World()
    await world.settle()
    assert "failing" not in world.written["load"]
    decision = world.state.writer.decision
    assert decision is not None
    changes["load"] = replace(decision.load, failing=share)
    await world.tick(after=60.0)
    assert world.written["load"]["failing"] == text


async def test_the_end_of_failures_is_written(changes: dict[str, Any]) -> None:
    world = World()
    await world.settle()
    decision = world.state.writer.decision
    assert decision is not None
    for share, text in ((0.0005, "0.05%"), (0.0, "0%")):
        changes["load"] = replace(decision.load, failing=share)
        await world.tick(after=6.0)
        assert world.written["load"]["failing"] == text


async def test_the_objective_that_is_closest_to_being_missed_is_shown(
    changes: dict[str, Any],
) -> None:
    given = {"latency": {"threshold": "20s"}, "firstByte": {"percentile": 90, "threshold": "1.0s"}}
    world = World(spec={"objective": given})
    await world.settle()
    decision = world.state.writer.decision
    assert decision is not None
    first = {"type": "FirstByte", "percentile": "p90", "threshold": "1.0s"}
    whole = {"type": "Latency", "percentile": "p95", "threshold": "20s"}
    for latency, first_byte, shown in (
        (10.0, 0.6, first | {"measured": "600ms"}),
        # Both are within the tolerance of what was shown.
        (10.9, 0.54, first | {"measured": "600ms"}),
        (16.0, 0.54, whole | {"measured": "16s"}),
    ):
        changes["load"] = replace(decision.load, latency=latency, first_byte=first_byte)
        await world.tick(after=60.0)
        assert world.written["objective"] == shown
    load = world.written["load"]
    assert (load["latency"], load["percentile"]) == ("16s", "p95")
    assert (load["firstByte"], load["firstBytePercentile"]) == ("600ms", "p90")


async def test_only_the_first_byte_is_in_the_status_where_it_is_the_only_objective() -> None:
    world = World(spec={"objective": {"firstByte": {"percentile": 99}}})
    await world.settle()
    assert world.written["load"]["firstBytePercentile"] == "p99"
    assert not {"latency", "percentile"} & set(world.written["load"])
    assert world.written["objective"]["type"] == "FirstByte"
    assert world.written["objective"]["threshold"] == "800ms"


async def test_a_changed_message_alone_is_not_written(changes: dict[str, Any]) -> None:
    world = World(status=OBSERVED)
    await world.settle()
    changes["message"] = "another message"
    await world.tick(after=60)
    assert writes(world) == 0


async def test_a_change_is_written_immediately_with_an_event(changes: dict[str, Any]) -> None:
    world = World()
    await world.settle()
    changes |= {"replicas": 3, "verdict": Verdict.SCALED_UP, "message": "3 pods needed"}
    await world.tick(after=0.5)
    await world.tick(after=0.5)
    assert writes(world) == 1
    assert world.written["decision"]["time"] == f"T{world.now - 0.5:.0f}"
    assert world.cluster.events == [("ScaledUp", "3 pods needed")]


async def test_a_true_diagnosis_is_one_event_and_keeps_its_time(
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
    found = world.condition("DependencyBound")
    assert (found["reason"], found["lastTransitionTime"]) == ("UpstreamSlower", since)
    assert world.cluster.events == [("DependencyBound", "slow")]


async def test_a_new_leader_does_not_repeat_events(changes: dict[str, Any]) -> None:
    world = World()
    await world.settle()
    successor = World()
    successor.cluster.objects = world.cluster.objects
    successor.pods.answers = world.pods.answers
    successor.state.update_manifest(world.cluster.objects["AIApi", "a"])
    changes |= {
        name: getattr(world.state.writer.decision, name)
        for name in ("verdict", "message", "need", "load", "conditions")
    }
    await successor.tick()
    assert writes(successor) == 0
    assert successor.cluster.events == []


async def test_a_failed_status_write_is_repeated(changes: dict[str, Any]) -> None:
    world = World()
    await world.settle()
    world.cluster.refuse[("status",)] = Unavailable("no answer")
    changes |= {"replicas": 3, "verdict": Verdict.SCALED_UP}
    await world.tick()
    assert ("scale", "3") in world.cluster.done
    world.cluster.refuse.clear()
    await world.tick()
    assert world.written["decision"]["replicas"] == 3


def test_a_number_changes_only_outside_the_deadband() -> None:
    deadband = Deadband()
    found = [deadband.filter("x", value, absolute=0.5) for value in (10.0, 10.9, 11.1, None, 0.4)]
    assert found == [10.0, 10.0, 11.1, None, 0.4]


async def test_a_failure_of_the_operator_is_reported() -> None:
    world = World()
    await world.settle()
    await world.engine.fail(world.state, KeyError("spec"))
    found = world.condition("Reconciled")
    assert (found["status"], found["reason"]) == ("False", "OperatorError")
    assert "KeyError" in found["message"]
    assert world.written["decision"]["replicas"] == 2


async def test_the_runtime_of_most_pods_is_shown() -> None:
    world = World()
    await world.settle()
    assert "runtime" not in world.written
    old = PodRuntime(version="0.1.0", source="Image", python="3.11.7")
    new = PodRuntime(version="0.2.0", source="Injected", loop="asyncio", http="h11")
    world.add_pods("a-3")
    for pod, runtime in (("a-1", old), ("a-2", new), ("a-3", new)):
        world.answer(pod, runtime=runtime)
    await world.tick_now()
    assert world.written["runtime"] == {
        "version": "0.2.0",
        "source": "Injected",
        "loop": "asyncio",
        "http": "h11",
    }


async def test_the_runtime_stays_while_no_pod_answers() -> None:
    world = World()
    await world.settle()
    runtime = PodRuntime(version="0.1.0", source="Injected")
    for pod in ("a-1", "a-2"):
        world.answer(pod, runtime=runtime)
    await world.tick_now()
    for pod in ("a-1", "a-2"):
        world.pods.answers[pod] = PodUnknown(pod=pod, ready=True, reason="timeout")
    await world.tick()
    assert world.written["runtime"] == {"version": "0.1.0", "source": "Injected"}
