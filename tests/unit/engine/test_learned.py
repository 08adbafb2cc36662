"""What is learned and scheduled reaches the pods, and outlives the operator in the status."""

from dataclasses import replace
from typing import Any

import pytest
from engine_support.world import World

from aiapi_operator.engine import legacy, tick
from aiapi_operator.sizing.decide import decide as real_decide
from aiapi_operator.sizing.decision import Decision
from aiapi_operator.sizing.restore import Left
from aiapi_operator.sizing.state import Size, Spend, State

MIB = 2**20


@pytest.fixture
def changes(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Fields of the decision as a test wants them."""
    wanted: dict[str, Any] = {}

    def scripted(*arguments: Any) -> Decision:
        return replace(real_decide(*arguments), **wanted)

    monkeypatch.setattr(tick, "decide", scripted)
    return wanted


def resizes(world: World) -> list[tuple[str, ...]]:
    return [call for call in world.cluster.done if call[0] == "resize"]


async def test_what_a_worker_uses_is_what_its_pod_requests(changes: dict[str, Any]) -> None:
    world = World()
    await world.settle()
    changes |= {"worker_cpu": 0.64, "worker_memory": 300 * MIB}
    await world.tick()
    assert resizes(world) == [("resize", "a-1", "640m"), ("resize", "a-2", "640m")]


async def test_full_nodes_bring_back_what_the_spec_says(changes: dict[str, Any]) -> None:
    world = World()
    await world.settle()
    world.cluster.grants = False
    changes |= {"worker_cpu": 0.64, "worker_memory": 300 * MIB}
    await world.tick()
    waiting = world.cluster.add_pod("a-1", cpu="640m", memory="300Mi")
    waiting["status"]["conditions"].append(
        {"type": "PodResizePending", "status": "True", "reason": "Deferred"}
    )
    world.inventory.see(waiting)
    world.cluster.done.clear()
    await world.tick()
    assert ("resize", "a-1", "500m") in resizes(world)
    assert world.subject.modest_until > world.now


async def test_a_schedule_orders_its_pods() -> None:
    always = {"name": "day", "start": "0 0 * * *", "duration": "24h", "minReplicas": 5}
    world = World(spec={"scaling": {"schedules": [always]}})
    world.now = 1_790_000_000.0
    await world.settle()
    assert world.told["decision"]["replicas"] == 5
    assert "schedule day: 5 pods x 1" in world.told["decision"]["message"]


async def test_an_unknown_time_zone_is_told_with_the_way_out() -> None:
    lost = {"start": "0 8 * * *", "end": "0 9 * * *", "timeZone": "Europe/Bonn", "minReplicas": 3}
    world = World(spec={"scaling": {"schedules": [lost]}})
    await world.tick()
    accepted = world.condition("Accepted")
    assert accepted["status"] == "False"
    assert "scaling.schedules[0].timeZone" in accepted["message"]
    assert "write it like Europe/Berlin" in accepted["message"]


async def test_savings_go_on_with_the_next_operator() -> None:
    world = World(status={"workers": 1})
    await world.settle()
    world.subject.state = replace(
        world.subject.state,
        spend=Spend(
            seconds=7200.0,
            worker_seconds=20_000.0,
            pod_seconds=14_400.0,
            peak=Size(workers=4, replicas=3),
        ),
    )
    await world.tick(after=70.0)
    told = world.told["savings"]
    assert told["workerSeconds"] == 20_140
    assert (told["peakWorkers"], told["peakReplicas"]) == (4, 3)
    heir = World()
    heir.cluster.objects = world.cluster.objects
    heir.pods.answers = world.pods.answers
    heir.subject.manifest = world.cluster.objects["AIApi", "a"]
    await heir.tick()
    await heir.tick()
    spend = heir.subject.state.spend
    assert spend.peak == Size(workers=4, replicas=3)
    assert spend.worker_seconds >= 20_140
    assert heir.told["savings"]["baselineReplicas"] == 3
    assert heir.told["savings"]["percent"] == told["percent"]


async def test_a_settled_fleet_tells_its_totals_once_an_hour(changes: dict[str, Any]) -> None:
    world = World()
    await world.settle()
    for _ in range(59):
        await world.tick(after=60.0)
    assert world.cluster.done.count(("status",)) <= 2
    before = world.told["savings"]["observedSeconds"]
    for _ in range(15):
        await world.tick(after=60.0)
    assert world.told["savings"]["observedSeconds"] > before + 3000


@pytest.mark.parametrize(
    "status",
    [
        {},
        {"savings": None, "learned": None},
        {"savings": {"workerSeconds": "many", "peakWorkers": -1}, "learned": {"workerCpu": "x"}},
        {"learned": {"utilizationFactor": "most", "podStart": "soon", "workerMemory": "-1"}},
    ],
)
def test_a_status_that_says_nothing_leaves_nothing(status: dict[str, Any]) -> None:
    assert legacy.read(status) == Left()


def test_what_was_learned_is_read_as_it_was_written() -> None:
    state = replace(
        State(),
        use=replace(State().use, cpu=0.64, memory=300 * MIB),
        pod_lead=20.2,
        correction=0.7,
    )
    document = legacy.learned(state, lambda key, value, **_: value, {})
    assert document == {
        "workerCpu": "640m",
        "workerMemory": "300Mi",
        "podStart": "20s",
        "utilizationFactor": "0.70",
    }
    assert legacy.read({"learned": document}) == Left(
        worker_cpu=0.64, worker_memory=300 * MIB, pod_lead=20.0, correction=0.7
    )
