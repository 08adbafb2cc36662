"""Most ticks of an idle AIApi are only a look. What follows is the same as with whole ticks."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from engine_support.world import World
from msgspec import structs

from aiapi_operator.engine import pace, sizer
from aiapi_operator.engine.autoscalers import ForeignAutoscaler
from aiapi_operator.sizing.inputs import PodUnknown
from aiapi_operator.sizing.learners.daily_profile import DailyProfile
from aiapi_operator.sizing.learners.failed_requests import FailedRequests
from aiapi_operator.sizing.learners.usage import Usage
from aiapi_operator.sizing.state import Latch

SPEC = {"replicas": {"min": 2, "max": 9}, "workers": {"min": 1, "max": 4, "resources": "Fixed"}}
EVERY = pace.IDLE_INTERVAL
WHOLE = pace.QUIET
"""Whole ticks of an idle AIApi before its first look."""


async def idle_world(**spec: Any) -> World:
    """A world whose next tick is a look."""
    world = World(spec={**SPEC, **spec})
    await world.settle()
    await rest(world, 2 * WHOLE)
    for _ in range(pace.LOOKS):
        if world.state.pace.looks < pace.LOOKS:
            await rest(world, 1)
    assert world.state.pace.looks == pace.LOOKS
    return world


async def rest(world: World, ticks: int, *, may_look: bool = True) -> None:
    for _ in range(ticks):
        await world.tick(after=EVERY, may_look=may_look)


@pytest.fixture
def decisions(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The times of decisions."""
    times: list[float] = []
    decide = sizer.decide

    def note(*arguments: Any) -> Any:
        times.append(arguments[3])
        return decide(*arguments)

    monkeypatch.setattr(sizer, "decide", note)
    return times


async def test_after_a_minute_one_tick_in_five_decides(decisions: list[float]) -> None:
    world = World(spec=SPEC)
    await world.settle()
    world.state.pace = pace.PaceState()
    decisions.clear()
    start = world.now
    await rest(world, WHOLE + 10)
    whole = [start + EVERY * (number + 1) for number in range(WHOLE)]
    assert decisions == [*whole, whole[-1] + 50.0, whole[-1] + 100.0]
    assert world.state.pace.interval == EVERY


async def test_costs_and_profile_are_those_of_whole_ticks() -> None:
    seen = []
    for may_look in (True, False):
        world = World(spec=SPEC)
        await world.settle()
        await rest(world, 60, may_look=may_look)
        sizing = world.state.sizer.sizing
        spans = sum(tick.seconds for tick in sizing.ticks)
        seen.append((sizing.now, spans, sizing.memory[Usage], sizing.memory[DailyProfile]))
    looked, ticked = seen
    assert looked[:2] == ticked[:2]
    assert replace(looked[2], looked=0.0) == replace(ticked[2], looked=0.0)
    assert looked[3] == ticked[3]


async def test_a_burst_is_measured_from_the_last_look_on() -> None:
    world = await idle_world()
    await rest(world, 3)
    world.now += EVERY
    for name in ("a-1", "a-2"):
        world.answer(name, succeeded=50)
    await world.tick_now()
    assert world.state.sizer.sizing.ticks[-1].arrivals == pytest.approx(100 / EVERY)
    assert world.state.pace.interval == 0.0, "the next tick comes at the usual interval"


def sampled(**changes: Any) -> Callable[[World], None]:
    def change(world: World) -> None:
        answers = world.pods.answers
        answers["a-1"] = structs.replace(answers["a-1"], **changes)

    return change


def moved(world: World, **changes: Any) -> None:
    pod = world.cluster.edit("Pod", "a-1", changes)
    world.cache.put(pod)


def edited(world: World) -> None:
    spec = {**SPEC, "scaling": {"interval": "3s"}}
    world.state.update_manifest(world.cluster.edit("AIApi", "a", {"spec": spec}))
    metadata = {**world.state.manifest["metadata"], "generation": 2}
    world.state.update_manifest({**world.state.manifest, "metadata": metadata})


def silent(world: World) -> None:
    world.pods.answers["a-1"] = PodUnknown(pod="a-1", ready=True, reason="no answer")


def busy(world: World) -> None:
    sampled(loop_seconds=0.11 * 2 * EVERY)(world)


def repeated(world: World) -> None:
    before = world.state.sizer.sizing.samples[0]
    sampled(time=before.time)(world)


def failing(world: World) -> None:
    sizing = world.state.sizer.sizing
    failed = FailedRequests(latch=Latch(on=True))
    memory = {**sizing.memory, FailedRequests: failed}
    world.state.sizer.sizing = replace(sizing, memory=memory)


def targeted(world: World) -> None:
    found = ForeignAutoscaler(
        kind="HorizontalPodAutoscaler", name="hpa", target_kind="Deployment", target=("shop", "a")
    )
    world.engine._ports.autoscalers.targeting = lambda _: (found,)  # type: ignore[method-assign]


CHANGES: dict[str, Callable[[World], None]] = {
    "a request ended": sampled(succeeded=1),
    "a request failed": sampled(server_errors=1),
    "a request was refused": sampled(shed=1),
    "a request is open": sampled(in_flight=1),
    "a response streams": sampled(open_streams=1),
    "a worker is blocked": sampled(workers_blocked=1),
    "workers do not start": sampled(failure="ImportError"),
    "the workers are not those decided": sampled(workers_wanted=2, workers_ready=2),
    "the pod restarted": sampled(instance="another"),
    "loops are busy without a request": busy,
    "the answer is that of before": repeated,
    "a pod is silent": silent,
    "a pod is not ready": lambda world: moved(world, status={"conditions": []}),
    "the spec was edited": edited,
    "another autoscaler appeared": targeted,
    "requests failed lately": failing,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_what_ends_a_look(change: Callable[[World], None], decisions: list[float]) -> None:
    world = await idle_world()
    decisions.clear()
    await rest(world, 1)
    assert not decisions, "a look"
    world.now += EVERY
    for name in ("a-1", "a-2"):
        world.answer(name)
    change(world)
    await world.tick_now()
    assert decisions == [world.now]


async def test_loops_that_do_little_do_not(decisions: list[float]) -> None:
    world = await idle_world()
    decisions.clear()
    world.now += EVERY
    for name in ("a-1", "a-2"):
        world.answer(name, loop_seconds=0.09 * EVERY)
    await world.tick_now()
    assert not decisions


@pytest.mark.parametrize("late", range(0, 50, 7))
async def test_a_schedule_is_seen_in_time(late: int, decisions: list[float]) -> None:
    """No tick may be a look in the minute before a schedule."""
    noon = {"name": "noon", "start": "0 12 * * *", "duration": "1h", "minReplicas": 4}
    world = await idle_world(scaling={"schedules": [noon]})
    start = world.now + 200.0 + late
    world.wall_clock_error = 12 * 3600 - start
    looks = []
    while world.now + EVERY < start:
        decisions.clear()
        await rest(world, 1)
        if not decisions:
            looks.append(start - world.now)
    assert looks
    assert min(looks) > pace.SCHEDULE_AHEAD


async def test_a_new_term_begins_with_a_whole_tick(decisions: list[float]) -> None:
    world = await idle_world()
    decisions.clear()
    world.leads.term += 1
    await rest(world, 1)
    assert decisions == [world.now]
