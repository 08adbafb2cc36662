"""Learned values and schedules reach the pods, and the status carries them to the next leader."""

from dataclasses import replace
from typing import Any

import pytest
from engine_support.world import OBSERVED, World
from hypothesis import given, settings
from hypothesis import strategies as st

from aiapi_operator.cluster.errors import Unavailable
from aiapi_operator.engine import checkpoint, sizer
from aiapi_operator.sizing.decide import decide as real_decide
from aiapi_operator.sizing.decision import Decision
from aiapi_operator.sizing.learners import LEARNERS, daily_profile
from aiapi_operator.sizing.learners.base_latency import BaseLatency
from aiapi_operator.sizing.learners.daily_profile import DailyProfile
from aiapi_operator.sizing.learners.failed_requests import FailedRequests
from aiapi_operator.sizing.learners.pod_start import PodStart
from aiapi_operator.sizing.learners.queueing import Queueing
from aiapi_operator.sizing.learners.service_demand import ServiceDemand
from aiapi_operator.sizing.learners.usage import Usage
from aiapi_operator.sizing.learners.worker_use import WorkerUse
from aiapi_operator.sizing.state import Latch, Size, State

MIB = 2**20
NAMES = (
    *("observedSeconds", "workerSeconds", "peakWorkers", "peakReplicas", "workerCpu", "podStart"),
    *("queueingFactor", "baseLatency", "headroom", "profile", "jumps", "seen", "errors"),
    *("workerMemory", "errorsWithout", "serviceDemand", "percentile", "missedSeconds"),
)


@pytest.fixture
def changes(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Fields of the next decisions, set by a test."""
    wanted: dict[str, Any] = {}

    def scripted(*arguments: Any) -> Decision:
        return replace(real_decide(*arguments), **wanted)

    monkeypatch.setattr(sizer, "decide", scripted)
    return wanted


def remember(world: World, *known: Any) -> None:
    """Replace what the right-sizer knows of some things."""
    state = world.state.sizer.sizing
    memory = {**state.memory, **{type(each): each for each in known}}
    world.state.sizer.sizing = replace(state, memory=memory)


def knows(*known: Any) -> State:
    return State(memory={type(each): each for each in known})


def resizes(world: World) -> list[tuple[str, ...]]:
    return [call for call in world.cluster.done if call[0] == "resize"]


async def test_pods_request_the_learned_resources(changes: dict[str, Any]) -> None:
    world = World()
    await world.settle()
    changes |= {"worker_cpu": 0.64, "worker_memory": 300 * MIB}
    await world.tick()
    assert resizes(world) == [], "a successor would take it back: it is not in the status"
    await world.tick()
    assert resizes(world) == [("resize", "a-1", "640m"), ("resize", "a-2", "640m")]


async def test_pods_keep_their_resources_until_the_status_has_the_learned_ones(
    changes: dict[str, Any],
) -> None:
    world = World()
    await world.settle()
    changes |= {"worker_cpu": 0.64}
    world.cluster.refuse["status",] = Unavailable("no answer")
    for _ in range(5):
        await world.tick()
    assert resizes(world) == []
    world.cluster.refuse.clear()
    await world.tick()
    await world.tick()
    assert resizes(world) == [("resize", "a-1", "640m"), ("resize", "a-2", "640m")]


async def test_full_nodes_cap_requests_at_the_spec(changes: dict[str, Any]) -> None:
    world = World()
    await world.settle()
    world.cluster.room = {"a-1": "500m"}
    changes |= {"worker_cpu": 0.64, "worker_memory": 300 * MIB}
    await world.tick()
    await world.tick()
    world.cluster.done.clear()
    await world.tick()
    assert ("resize", "a-1", "500m") in resizes(world)
    assert world.state.request_cap.until > world.now


async def test_a_schedule_sets_its_pods() -> None:
    always = {"name": "day", "start": "0 0 * * *", "duration": "24h", "minReplicas": 5}
    world = World(spec={"scaling": {"schedules": [always]}})
    world.now = 1_790_000_000.0
    await world.settle()
    assert world.written["decision"]["replicas"] == 5
    assert "schedule day: 5 pods x 1" in world.written["decision"]["message"]


async def test_an_unknown_time_zone_is_reported_with_an_example() -> None:
    lost = {"start": "0 8 * * *", "end": "0 9 * * *", "timeZone": "Europe/Bonn", "minReplicas": 3}
    world = World(spec={"scaling": {"schedules": [lost]}})
    await world.tick()
    accepted = world.condition("Accepted")
    assert accepted["status"] == "False"
    assert "scaling.schedules[0].timeZone" in accepted["message"]
    assert "use a name such as Europe/Berlin" in accepted["message"]


async def test_savings_continue_with_the_next_leader() -> None:
    world = World(status={"workers": 1})
    await world.settle()
    usage = Usage(
        seconds=7200.0,
        worker_seconds=20_000.0,
        pod_seconds=14_400.0,
        peak=Size(workers=4, replicas=3),
    )
    remember(world, usage)
    await world.tick(after=70.0)
    written = world.written["savings"]
    assert written["workerSeconds"] == 20_140
    assert (written["peakWorkers"], written["peakReplicas"]) == (4, 3)
    successor = World()
    successor.cluster.objects = world.cluster.objects
    successor.pods.answers = world.pods.answers
    successor.state.update_manifest(world.cluster.objects["AIApi", "a"])
    await successor.tick()
    await successor.tick()
    usage = successor.state.sizer.sizing.memory[Usage]
    assert usage.peak == Size(workers=4, replicas=3)
    assert usage.worker_seconds >= 20_140
    assert successor.written["savings"]["baselineReplicas"] == 3
    assert successor.written["savings"]["percent"] == written["percent"]


async def test_an_hour_is_reached_although_the_operator_restarts() -> None:
    world = World()
    await world.settle()
    for term in range(2, 7):
        for _ in range(20):
            await world.tick(after=60.0)
        world.state.update_manifest(world.cluster.objects["AIApi", "a"])
        world.leads.term = term
    assert world.written["savings"]["observedSeconds"] > 3600
    assert "percent" not in world.written["savings"], "nothing was served"


async def test_totals_are_written_every_ten_minutes_at_first(changes: dict[str, Any]) -> None:
    world = World()
    await world.settle()
    for _ in range(60):
        await world.tick(after=60.0)
    assert world.cluster.done.count(("status",)) <= 8
    assert world.written["savings"]["observedSeconds"] >= 0.8 * 3600


async def test_a_saving_is_withheld_while_requests_fail() -> None:
    world = World(status={"workers": 1})
    await world.settle()
    usage = Usage(
        seconds=7200.0,
        worker_seconds=20_000.0,
        pod_seconds=14_400.0,
        peak=Size(workers=4, replicas=3),
    )
    remember(world, usage, FailedRequests(latch=Latch(on=True)))
    await world.tick(after=70.0)
    written = world.written["savings"]
    assert "percent" not in written
    assert written["withheld"] == "RequestsFailing"
    assert float(written["costPerHour"]) > 0
    assert written["missedSeconds"] == 70
    remember(world, FailedRequests())
    await world.tick(after=70.0)
    assert "withheld" not in world.written["savings"]
    assert world.written["savings"]["percent"].endswith("%")


async def test_a_settled_fleet_writes_its_totals_once_an_hour(changes: dict[str, Any]) -> None:
    world = World(status=OBSERVED)
    await world.settle()
    for _ in range(59):
        await world.tick(after=60.0)
    assert world.cluster.done.count(("status",)) <= 2
    before = world.written["savings"]["observedSeconds"]
    for _ in range(15):
        await world.tick(after=60.0)
    assert world.written["savings"]["observedSeconds"] > before + 3000


@pytest.mark.parametrize(
    "status",
    [
        {},
        {"savings": None, "learned": None},
        {"savings": {"workerSeconds": "many", "peakWorkers": -1}, "learned": {"workerCpu": "x"}},
        {"learned": {"queueingFactor": "most", "podStart": "soon", "workerMemory": "-1"}},
    ],
)
def test_a_status_without_values_gives_a_new_state(status: dict[str, Any]) -> None:
    # The totals start at zero, and a worker requests what the spec says.
    assert checkpoint.initial_state(status) == knows(Usage(), WorkerUse())


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inner),
    max_leaves=8,
)
texts = st.text(alphabet="0123456789 -.%pmsKie", max_size=12)
statuses = st.dictionaries(
    st.sampled_from(["savings", "learned", "need", "load"]),
    values | st.dictionaries(st.sampled_from(NAMES), values | texts),
)


@settings(max_examples=60, deadline=None)
@given(values | statuses)
def test_any_status_can_be_read(status: Any) -> None:
    state = checkpoint.initial_state(status)
    assert set(state.memory) <= {learner.kind for learner in LEARNERS}
    checkpoint.learned(state, {})
    checkpoint.totals(state)


async def test_the_next_leader_starts_from_the_learned_values() -> None:
    world = World(status={"workers": 1})
    await world.settle()
    jumps = (0.0,) * 18 + (1.386,) + (0.0,) * 29
    remember(
        world,
        ServiceDemand(seconds=0.0091, requests=5000),
        BaseLatency(percentile=95, current=0.4, calm=0.38, time=world.now),
        DailyProfile(jumps=jumps, seen=96, error=0.245, error_without=2.04),
    )
    await world.tick(after=70.0)
    written = world.written["learned"]
    assert written["baseLatency"] == "380ms"
    assert written["profile"]["jumps"].split() == ["0"] * 18 + ["139"] + ["0"] * 29
    successor = World()
    successor.state.update_manifest(world.cluster.objects["AIApi", "a"])
    successor.state.start_term(2)
    memory = successor.state.sizer.sizing.memory
    assert memory[ServiceDemand] == ServiceDemand(seconds=0.0091), "without confidence"
    assert (memory[BaseLatency].calm, memory[BaseLatency].percentile) == (0.38, 95)
    assert daily_profile.skill(memory[DailyProfile]) == pytest.approx(0.88, abs=0.001)
    assert memory[DailyProfile].jumps[18] == pytest.approx(1.386, abs=0.01)


def test_the_profile_is_written_when_it_changed() -> None:
    first = DailyProfile(jumps=(0.5,) + (0.0,) * 47, seen=60, error=0.1, error_without=0.2)
    written = checkpoint.learned(knows(first), {})
    assert written["profile"]["seen"] == 60
    similar = replace(first, seen=71, error=0.11)
    assert checkpoint.learned(knows(similar), written) == written
    assert checkpoint.learned(knows(replace(first, seen=72)), written) != written
    other = replace(first, jumps=(0.52, *first.jumps[1:]))
    assert checkpoint.learned(knows(other), written)["profile"]["jumps"].startswith("52 0")
    nothing = replace(first, jumps=(0.001,) * 48)
    assert "profile" not in checkpoint.learned(knows(nothing), written)


def test_learned_values_round_trip() -> None:
    state = knows(
        WorkerUse(cpu=0.64, memory=300 * MIB),
        PodStart(seconds=20.2),
        Queueing(factor=1.7, learned=True),
    )
    document = checkpoint.learned(state, {})
    assert document == {
        "workerCpu": "640m",
        "workerMemory": "300Mi",
        "podStart": "20s",
        "queueingFactor": "1.70",
    }
    assert checkpoint.initial_state({"learned": document}) == knows(
        WorkerUse(cpu=0.64, memory=300 * MIB),
        PodStart(seconds=20.0),
        Queueing(factor=1.7, learned=True),
        Usage(),
    )
