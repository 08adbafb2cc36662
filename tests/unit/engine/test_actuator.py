"""Actions: their order, rejected requests, and actions that must not happen."""

import asyncio
from typing import Any

import pytest
from engine_support.world import World

from aiapi_operator.cluster.errors import Forbidden
from aiapi_operator.engine import resizer, sizer
from aiapi_operator.engine.tenure import LeadershipLostError
from aiapi_operator.sizing.decide import decide as real_decide
from aiapi_operator.sizing.decision import Decision, Verdict
from aiapi_operator.sizing.inputs import PodUnknown


@pytest.fixture
def decided(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Fields of the next decisions, set by a test."""
    order: dict[str, int] = {}

    def scripted(*arguments: Any) -> Decision:
        decision = real_decide(*arguments)
        changes = {**order, "verdict": Verdict.SCALED_UP} if order else {}
        fields = {name: getattr(decision, name) for name in Decision.__dataclass_fields__}
        return Decision(**{**fields, **changes})

    monkeypatch.setattr(sizer, "decide", scripted)
    return order


def acts(world: World) -> list[tuple[str, ...]]:
    return [call for call in world.cluster.done if call != ("status",)]


async def test_up_resizes_each_pod_before_its_workers(decided: dict[str, int]) -> None:
    world = World()
    await world.settle()
    decided |= {"workers": 3, "replicas": 2}
    await world.tick()
    assert acts(world) == [("resize", "a-1", "1500m"), ("resize", "a-2", "1500m")]
    assert world.pods.set_workers == [("a-1", 3), ("a-2", 3)]


async def test_at_most_sixteen_pods_are_resized_at_a_time(decided: dict[str, int]) -> None:
    world = World(spec={"replicas": {"min": 40, "max": 40}})
    await world.tick()
    world.add_pods(*(f"a-{number}" for number in range(40)))
    for _ in range(6):
        await world.tick()
    running, most, resize = 0, 0, world.cluster.resize

    async def counted(*arguments: Any) -> Any:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return await resize(*arguments)

    world.cluster.resize = counted
    decided |= {"workers": 3, "replicas": 40}
    await world.tick()
    assert len(world.pods.set_workers) == 40
    assert most == 16


async def test_new_workers_wait_for_the_resize(decided: dict[str, int]) -> None:
    world = World()
    await world.settle()
    world.cluster.grants = False
    decided |= {"workers": 3, "replicas": 2}
    await world.tick()
    assert world.pods.set_workers == []
    granted = world.cluster.add_pod("a-1", cpu="1500m", memory="768Mi")
    world.cache.put(granted)
    await world.tick()
    assert world.pods.set_workers == [("a-1", 3)]


async def test_a_rejected_resize_adds_no_workers_and_backs_off(
    decided: dict[str, int],
) -> None:
    world = World()
    await world.settle()
    message = 'pods "a-1" is forbidden: node didn\'t have enough allocatable resources: cpu'
    world.cluster.refuse["resize", "a-1"] = Forbidden(message)
    decided |= {"workers": 3, "replicas": 2}
    asked: list[str] = []
    resize = world.cluster.resize

    async def counted(namespace: str, pod: str, *rest: Any) -> Any:
        asked.append(pod)
        return await resize(namespace, pod, *rest)

    world.cluster.resize = counted
    for _ in range(4):
        await world.tick(after=1.0)
    assert asked.count("a-1") == 2, "3 workers, then 2"
    assert ("a-1", 3) not in world.pods.set_workers
    reconciled = world.condition("Reconciled")
    assert reconciled["reason"] == "ActRefused"
    assert "allocatable" in reconciled["message"]
    await world.tick(after=30)
    assert asked.count("a-1") == 3


async def test_down_sets_workers_first(decided: dict[str, int]) -> None:
    world = World(spec={"workers": {"min": 1}}, status={"workers": 3})
    await world.tick()
    world.add_pods("a-1", "a-2", workers=3)
    await world.tick()
    world.cluster.done.clear()
    world.pods.set_workers.clear()
    decided |= {"workers": 1, "replicas": 2}
    await world.tick()
    assert world.pods.set_workers == [("a-1", 1), ("a-2", 1)]
    assert acts(world) == []
    for pod in ("a-1", "a-2"):
        world.answer(pod, workers=1)
    await world.tick()
    assert acts(world) == [("resize", "a-1", "500m"), ("resize", "a-2", "500m")]


async def test_the_least_loaded_pods_are_marked_before_scale_down(decided: dict[str, int]) -> None:
    world = World(spec={"replicas": {"min": 1, "max": 5}})
    await world.settle()
    world.add_pods("a-3")
    world.state.manifest["spec"] = {"replicas": {"min": 1, "max": 5}}
    world.cache.put(world.cluster.edit("Deployment", "a", {"spec": {"replicas": 3}}))
    decided |= {"workers": 1, "replicas": 1}
    world.now += 2
    world.answer("a-1", in_flight=5)
    world.answer("a-2", in_flight=0)
    world.answer("a-3", in_flight=2)
    await world.tick_now()
    assert acts(world) == [("cost", "a-2", "-1000"), ("cost", "a-3", "-999"), ("scale", "1")]


@pytest.mark.parametrize(
    ("kept", "deleted"),
    [
        ({"open_websockets": 4, "open_connections": 4}, {}),
        ({"open_streams": 4, "in_flight": 4}, {"in_flight": 4}),
        ({"open_websockets": 1, "open_connections": 1}, {"in_flight": 6, "open_connections": 9}),
        ({"in_flight": 1, "open_connections": 1}, {"open_connections": 50}),
        ({"open_connections": 50}, {"open_connections": 49}),
    ],
)
async def test_pods_with_open_websockets_and_streams_are_kept(
    decided: dict[str, int], kept: dict[str, int], deleted: dict[str, int]
) -> None:
    world = World(spec={"replicas": {"min": 1, "max": 5}})
    await world.settle()
    world.cache.put(world.cluster.edit("Deployment", "a", {"spec": {"replicas": 2}}))
    decided |= {"workers": 1, "replicas": 1}
    world.now += 2
    world.answer("a-1", **kept)
    world.answer("a-2", **deleted)
    await world.tick_now()
    assert acts(world) == [("cost", "a-2", "-1000"), ("scale", "1")]


async def test_a_stale_event_does_not_scale_again(
    decided: dict[str, int],
) -> None:
    world = World()
    await world.settle()
    stale = world.cluster.edit("Deployment", "a", {"status": {"replicas": 2}})
    decided |= {"workers": 1, "replicas": 4}
    await world.tick()
    world.cache.put(stale)
    await world.tick()
    assert acts(world) == [("scale", "4")]


async def test_a_new_pod_is_sized_before_it_is_ready(decided: dict[str, int]) -> None:
    world = World()
    await world.settle()
    decided |= {"workers": 2, "replicas": 3}
    await world.tick()
    world.pods.set_workers.clear()
    world.cache.put(world.cluster.add_pod("a-3", ready=False))
    world.answer("a-3", ready=False)
    await world.tick()
    assert ("a-3", 2) in world.pods.set_workers


async def test_a_new_pod_waits_for_its_resize(decided: dict[str, int]) -> None:
    world = World()
    await world.settle()
    world.cluster.grants = False
    world.cache.put(world.cluster.add_pod("a-3", ready=False))
    world.answer("a-3", ready=False)
    decided |= {"workers": 3, "replicas": 3}
    await world.tick_now()
    assert ("resize", "a-3", "1500m") in acts(world)
    assert world.pods.set_workers == []


@pytest.mark.parametrize("mode", ["Auto", "Recommend", "Paused"])
async def test_a_new_pod_of_the_right_size_is_confirmed_once(mode: str) -> None:
    world = World(spec={"scaling": {"mode": mode}})
    await world.settle()
    world.cache.put(world.cluster.add_pod("a-1", ready=False))
    for _ in range(3):
        world.now += 2
        world.answer("a-1", ready=False)
        await world.tick_now()
    assert world.pods.set_workers == [("a-1", 1)]
    world.now += 2
    world.answer("a-1", ready=False, instance="restarted")
    await world.tick_now()
    assert world.pods.set_workers == [("a-1", 1), ("a-1", 1)]
    assert acts(world) == []


@pytest.mark.parametrize("mode", ["Recommend", "Paused"])
async def test_other_modes_than_auto_report_and_change_nothing(
    mode: str, decided: dict[str, int]
) -> None:
    world = World(spec={"scaling": {"mode": mode}})
    await world.settle()
    decided |= {"workers": 4, "replicas": 6}
    await world.tick()
    assert acts(world) == []
    assert world.pods.set_workers == []
    assert world.written["decision"]["replicas"] == 6
    assert world.written["workers"] == 1
    assert world.cluster.events == []


async def test_silent_pods_change_nothing() -> None:
    world = World()
    await world.settle()
    for pod in ("a-1", "a-2"):
        world.pods.answers[pod] = PodUnknown(pod=pod, ready=True, reason="no answer within 1 s")
    for _ in range(200):
        await world.tick()
    assert acts(world) == []
    assert world.pods.set_workers == []
    assert world.written["decision"]["reason"] == "HoldingOnMissingMetrics"
    assert world.condition("MetricsStale")["status"] == "True"


async def test_pods_are_listed_again_after_a_missed_deletion() -> None:
    world = World()
    await world.settle()
    world.pods.answers["a-2"] = PodUnknown(pod="a-2", ready=True, reason="connection refused")
    del world.cluster.objects["Pod", "a-2"]
    for _ in range(20):
        await world.tick()
    assert "a-2" not in world.cache.objects(("shop", "a")).pods


async def test_a_new_leader_keeps_the_running_fleet() -> None:
    world = World(status={"workers": 3})
    await world.settle()
    world.cluster.edit("Deployment", "a", {"spec": {"replicas": 7}})
    for number in range(1, 8):
        world.cluster.add_pod(f"a-{number}", cpu="1500m", memory="768Mi")
        world.answer(f"a-{number}", workers=3)
    successor = World(status={"workers": 3})
    successor.cluster.objects = world.cluster.objects
    successor.pods.answers = world.pods.answers
    for _ in range(5):
        await successor.tick()
    assert successor.pods.set_workers == []
    assert [call for call in acts(successor) if call[0] != "apply"] == []
    assert successor.written["decision"]["replicas"] == 7
    assert successor.written["workers"] == 3


async def test_a_new_leader_completes_an_interrupted_change() -> None:
    """The old leader was killed after it resized the pods and before it set their workers."""
    world = World()
    await world.settle()
    for pod in ("a-1", "a-2"):
        world.cluster.add_pod(pod, cpu="1500m", memory="768Mi")
    successor = World(status={"workers": 3})
    successor.cluster.objects = world.cluster.objects
    successor.pods.answers = world.pods.answers
    await successor.tick()
    assert successor.pods.set_workers == [("a-1", 3), ("a-2", 3)]
    assert successor.written["workers"] == 3


async def test_a_standby_does_nothing() -> None:
    world = World()
    world.leads.leads = False
    with pytest.raises(LeadershipLostError):
        await world.tick()
    assert world.cluster.done == []


async def test_a_tick_that_outlasts_its_term_does_not_act(
    decided: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another operator led, and acted, while this tick waited for its scrapes."""
    world = World()
    await world.settle()
    decided |= {"workers": 3, "replicas": 2}
    scrape = world.pods.scrape

    async def slow_scrape(*words: Any) -> Any:
        world.leads.term += 1
        return await scrape(*words)

    monkeypatch.setattr(world.pods, "scrape", slow_scrape)
    with pytest.raises(LeadershipLostError):
        await world.tick()
    assert acts(world) == []
    assert world.pods.set_workers == []


async def test_a_new_term_starts_without_state(decided: dict[str, int]) -> None:
    world = World()
    await world.settle()
    world.leads.term = 2
    await world.tick()
    assert ("get", "Deployment", "a") in world.cluster.asked


async def test_without_in_place_resize_the_template_follows_lasting_decisions(
    decided: dict[str, int],
) -> None:
    world = World(resize_in_place=False)
    await world.settle()
    decided |= {"workers": 3, "replicas": 2}
    await world.tick()
    assert world.pods.set_workers == [("a-1", 3), ("a-2", 3)]
    assert acts(world) == []
    for pod in ("a-1", "a-2"):
        world.answer(pod, workers=3)
    for _ in range(20):
        await world.tick()
    assert acts(world) == [("apply", "Deployment")]
    container = world.cluster.objects["Deployment", "a"]["spec"]["template"]["spec"]["containers"]
    assert container[0]["resources"]["requests"]["cpu"] == "1500m"
    decided |= {"workers": 4, "replicas": 2}
    for _ in range(60):
        await world.tick()
    assert acts(world) == [("apply", "Deployment")]


class SlowResizes:
    """Resizes that the API server answers when it is allowed to."""

    def __init__(self, world: World) -> None:
        self.allowed, self.asked, self._resize = asyncio.Event(), list[str](), world.cluster.resize
        world.cluster.resize = self.resize

    async def resize(self, namespace: str, pod: str, *rest: Any) -> Any:
        self.asked.append(pod)
        await self.allowed.wait()
        return await self._resize(namespace, pod, *rest)

    async def finish(self, world: World) -> None:
        self.allowed.set()
        await asyncio.gather(*world.state.resizer.resizing.values())


async def start(world: World) -> None:
    """Run a tick, and what it starts until that waits."""
    world.now += 2
    for name in ("a-1", "a-2"):
        world.answer(name)
    await world.engine.tick(world.state)
    await asyncio.sleep(0)


async def test_a_tick_waits_for_no_resize(decided: dict[str, int]) -> None:
    world = World()
    await world.settle()
    slow = SlowResizes(world)
    decided |= {"workers": 3, "replicas": 4}
    for _ in range(3):
        await start(world)
    assert ("scale", "4") in acts(world)
    assert slow.asked == ["a-1", "a-2"], "once"
    assert world.pods.set_workers == []
    await slow.finish(world)
    assert world.pods.set_workers == [("a-1", 3), ("a-2", 3)]


async def test_workers_whose_cpu_is_there_do_not_wait_for_others(decided: dict[str, int]) -> None:
    world = World()
    await world.settle()
    slow = SlowResizes(world)
    world.cache.put(world.cluster.add_pod("a-2", cpu="2", memory="1Gi"))
    decided |= {"workers": 3, "replicas": 2}
    await start(world)
    assert world.pods.set_workers == [("a-2", 3)]
    await slow.finish(world)


async def test_a_resize_for_an_earlier_decision_adds_no_workers(decided: dict[str, int]) -> None:
    world = World()
    await world.settle()
    slow = SlowResizes(world)
    decided |= {"workers": 3, "replicas": 2}
    await start(world)
    decided |= {"workers": 1}
    await start(world)
    await slow.finish(world)
    assert world.pods.set_workers == []
    await world.tick()
    assert acts(world)[-2:] == [("resize", "a-1", "500m"), ("resize", "a-2", "500m")]


async def test_resizes_end_with_the_term_and_with_the_aiapi(decided: dict[str, int]) -> None:
    world = World()
    await world.settle()
    SlowResizes(world)
    decided |= {"workers": 3, "replicas": 2}
    await start(world)
    first = list(world.state.resizer.resizing.values())
    world.leads.term = 2
    await start(world)
    second = list(world.state.resizer.resizing.values())
    world.state.close()
    await asyncio.wait([*first, *second])
    assert len(first) == len(second) == 2
    assert all(task.cancelled() for task in (*first, *second))
    assert world.pods.set_workers == []


async def test_a_resize_without_an_answer_is_given_up_and_reported(
    decided: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resizer, "DEADLINE", 0.01)
    world = World()
    await world.settle()
    slow = SlowResizes(world)
    decided |= {"workers": 3, "replicas": 2}
    await world.tick()
    assert world.state.resizer.resizing == {}
    slow.allowed.set()
    await world.tick()
    reconciled = world.condition("Reconciled")
    assert reconciled["status"] == "False"
    assert "resize of pod a-1: no answer within 0.01 s" in reconciled["message"]
    await world.tick()
    assert world.condition("Reconciled")["status"] == "True"
    assert set(world.pods.set_workers) == {("a-1", 3), ("a-2", 3)}
