"""The switch in whole ticks: what is applied, written and scaled, and in which order."""

from typing import Any

import pytest
from engine_support.switching import (
    SLICE,
    SPEC,
    activators,
    asleep,
    quiet_tick,
    replicas,
    serving,
    stop_pods,
    successor,
    until,
)
from engine_support.world import World

from aiapi_operator.cluster.errors import Unavailable
from aiapi_operator.engine.activation import Phase
from aiapi_operator.engine.tenure import LeadershipLostError

PHASES = [each.value for each in Phase]
DOWN = [("status",), ("scale", "0")]


async def test_the_slice_comes_first_then_the_status_and_then_the_pods_stop() -> None:
    world = await serving()
    await until(world, Phase.LEAVING)
    assert world.cluster.done[-2:] == [("apply", "EndpointSlice"), ("status",)]
    found = world.cluster.objects[SLICE]
    assert found["endpoints"] == [{"addresses": ["10.1.0.1"], "conditions": {"ready": True}}]
    assert found["ports"][0]["port"] == world.written["activation"]["port"]
    assert replicas(world) > 0
    world.cluster.done.clear()
    await until(world, Phase.ASLEEP)
    assert [call for call in world.cluster.done if call[0] != "cost"][-2:] == DOWN
    assert replicas(world) == 0
    assert SLICE in world.cluster.objects
    ready = world.condition("Ready")
    assert (ready["status"], ready["reason"]) == ("True", "Asleep")
    assert ready["message"].startswith("No pod runs; the next request starts pods and waits")


async def test_pods_stay_where_the_status_cannot_be_written() -> None:
    world = await serving()
    await until(world, Phase.LEAVING)
    world.cluster.refuse["status",] = Unavailable("no answer")
    phases = set()
    for _ in range(10):
        await quiet_tick(world)
        phases.add(world.state.switch.activation.phase)
    assert Phase.ASLEEP in phases
    assert ("scale", "0") not in world.cluster.done
    world.cluster.refuse.clear()
    await until(world, Phase.ASLEEP, ticks=60)
    assert replicas(world) == 0


async def test_leadership_that_is_lost_before_the_pods_stop_keeps_them() -> None:
    world = await serving()
    await until(world, Phase.LEAVING)
    write = world.cluster.apply_status

    async def and_lose(manifest: Any) -> Any:
        if manifest["status"]["activation"]["phase"] == Phase.ASLEEP:
            world.leads.leads = False
        return await write(manifest)

    world.cluster.apply_status = and_lose
    with pytest.raises(LeadershipLostError):
        await until(world, Phase.SERVING, idle=1e6)
    assert replicas(world) > 0
    assert ("scale", "0") not in world.cluster.done
    other = successor(world)
    await until(other, Phase.SERVING, idle=0.5)
    assert replicas(other) > 0
    assert SLICE not in other.cluster.objects


async def test_a_request_while_it_leaves_keeps_the_pods_and_removes_the_slice() -> None:
    world = await serving()
    await until(world, Phase.LEAVING)
    await until(world, Phase.SERVING, idle=0.5)
    assert SLICE not in world.cluster.objects
    assert world.written["activation"]["message"] == "Pods answer requests: a request came."
    assert ("scale", "0") not in world.cluster.done


async def test_it_wakes_when_it_is_scaled_up_and_pods_answer_alone_once_one_is_ready() -> None:
    world = await asleep()
    world.cache.put(world.cluster.edit("Deployment", "a", {"spec": {"replicas": 1}}))
    await world.tick()
    written = world.written["activation"]
    assert written["phase"] == Phase.WAKING
    assert written["message"].endswith(": 1 pod was started.")
    assert SLICE in world.cluster.objects
    world.add_pods("a-3", idle_seconds=0.0)
    await world.tick()
    assert world.written["activation"]["phase"] == Phase.SERVING
    assert SLICE not in world.cluster.objects
    assert replicas(world) >= 1
    assert [reason for reason, _ in world.cluster.events if reason in set(PHASES)] == [
        "Asleep",
        "Waking",
    ]


@pytest.mark.parametrize("step", [3600.0, -3600.0])
@pytest.mark.parametrize("at", [Phase.SERVING, Phase.LEAVING, Phase.ASLEEP, Phase.WAKING])
async def test_a_step_of_the_wall_clock_changes_nothing(at: Phase, step: float) -> None:
    async def way(step: float) -> list[tuple[Phase, int]]:
        """Phase and replicas of each tick, from the last request to the next one."""
        world, found = await serving(now=1e6), list[tuple[Phase, int]]()
        for _ in range(60):
            await quiet_tick(world)
            phase = world.state.switch.activation.phase
            found.append((phase, replicas(world)))
            if phase is at:
                world.wall_clock_error = step
            if phase is Phase.ASLEEP:
                stop_pods(world)
            if [phase for phase, _ in found[-3:]] == [Phase.ASLEEP] * 3:
                world.cache.put(world.cluster.edit("Deployment", "a", {"spec": {"replicas": 1}}))
            if found[-2:] == [(Phase.WAKING, 1)] * 2:
                world.add_pods("a-3", idle_seconds=0.0)
        return found

    usual = await way(0.0)
    assert {phase for phase, _ in usual} == set(Phase)
    assert await way(step) == usual


async def test_without_an_activator_it_wakes() -> None:
    world = await asleep()
    world.activators.pods.clear()
    await world.tick()
    assert world.written["activation"]["phase"] == Phase.WAKING
    assert "no activator is ready" in world.written["activation"]["message"]
    assert replicas(world) == 1


async def test_an_operator_that_starts_while_it_sleeps_changes_nothing() -> None:
    world = await asleep()
    await world.tick()
    before = world.written["activation"]
    other = successor(world)
    for _ in range(3):
        await other.tick(after=60)
    assert [call for call in other.cluster.done if call != ("status",)] == []
    assert SLICE in other.cluster.objects
    after = other.written["activation"]
    assert {**after, "asleepSeconds": 0} == {**before, "asleepSeconds": 0}
    assert other.state.switch.activation.reason == world.state.switch.activation.reason


async def test_an_operator_that_ends_between_slice_and_status_loses_nothing() -> None:
    world = await serving()
    world.cluster.refuse["status",] = Unavailable("no answer")
    for pod in world.pods.answers:
        world.answer(pod, idle_seconds=1e6)
    await world.tick()
    assert SLICE in world.cluster.objects
    world.cluster.refuse.clear()
    assert world.written["activation"]["phase"] == Phase.SERVING
    other = successor(world)
    await other.tick()
    assert other.written["activation"]["phase"] == Phase.LEAVING
    assert replicas(other) > 0
    assert SLICE in other.cluster.objects
    await until(other, Phase.ASLEEP)
    assert replicas(other) == 0


async def test_without_a_free_port_it_keeps_its_pods_and_says_so() -> None:
    world = World(spec=SPEC, activators=activators(), activator_ports=(20_000, 20_000))
    other = {"metadata": {"name": "b", "namespace": "shop", "uid": "b"}}
    world.engine.register({**other, "status": {"activation": {"port": 20_000}}})
    await world.tick()
    world.add_pods("a-1", idle_seconds=1e6)
    for _ in range(5):
        await world.tick()
    written = world.written["activation"]
    assert written["phase"] == Phase.SERVING
    assert written["message"] == (
        "Pods answer requests: all 1 ports of the activators are taken: raise"
        " activator.ports.last in the values of the operator's chart."
    )
    assert "port" not in written
    assert world.condition("Reconciled")["status"] == "True"
    world.engine.release(("shop", "b"))
    await until(world, Phase.LEAVING)


async def test_the_status_says_within_a_minute_that_no_activator_is_ready() -> None:
    world = await serving()
    world.activators.pods.clear()
    for _ in range(31):
        await world.tick()
    message = "Pods answer requests: no activator is ready."
    assert world.written["activation"]["message"] == message


async def test_the_time_without_a_request_is_written_once_a_minute() -> None:
    world = await serving()
    for tick in range(60):
        for pod in world.pods.answers:
            world.answer(pod, idle_seconds=2.0 + tick % 10)
        await world.tick()
    assert world.written["activation"]["message"].startswith("Pods answer requests: no request for")
    assert 1 <= world.cluster.done.count(("status",)) <= 4


async def test_asleep_without_a_port_it_wakes() -> None:
    world = await asleep()
    taken = world.written["activation"]["port"]
    other = World(
        spec=SPEC,
        status=world.written,
        now=world.now + 1,
        cluster=world.cluster,
        authority=world.authority,
        activators=world.activators,
        activator_ports=(taken, taken),
    )
    for manifest in world.cluster.objects.values():
        if manifest["kind"] != "AIApi":
            other.cache.put(manifest)
    owner = {"metadata": {"name": "b", "namespace": "shop", "uid": "b"}}
    other.engine.register({**owner, "status": {"activation": {"port": taken}}})
    await other.tick()
    assert other.written["activation"]["phase"] == Phase.WAKING
    assert SLICE not in other.cluster.objects
    assert replicas(other) == 1


async def test_pods_whose_answers_stand_still_are_not_idle() -> None:
    world = await serving()
    await until(world, Phase.LEAVING)
    for _ in range(20):
        await world.tick()
        assert world.state.switch.activation.phase is not Phase.ASLEEP
    assert ("scale", "0") not in world.cluster.done
