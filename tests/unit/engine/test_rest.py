"""An idle AIApi is watched for its first request, and ticks once a minute otherwise."""

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from engine_support.cluster import FakeWatch
from engine_support.world import World

from aiapi_operator.cluster.errors import Unavailable
from aiapi_operator.engine import pace
from aiapi_operator.sizing.learners.daily_profile import DailyProfile
from aiapi_operator.sizing.learners.usage import Usage

SPEC = {"replicas": {"min": 2, "max": 9}, "workers": {"min": 1, "max": 4, "resources": "Fixed"}}


async def idle_world(*, longest_wait: int = 60, **spec: Any) -> World:
    """A world that has just become idle."""
    world = World(spec={**SPEC, **spec})
    await world.settle(longest_wait=longest_wait)
    world.state.pace = pace.PaceState()
    await world.tick(after=10.0)
    return world


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = await idle_world()
    yield world
    await world.state.stop()


def last_watch(world: World) -> FakeWatch:
    return world.pods.watches[-1]


async def rest(world: World, ticks: int, *, every: float = 50.0) -> list[float]:
    """The intervals that follow these ticks."""
    intervals = []
    for _ in range(ticks):
        await world.tick(after=every)
        intervals.append(world.state.pace.interval)
    return intervals


async def test_it_is_watched_until_its_next_tick(world: World) -> None:
    watch = last_watch(world)
    assert watch.pods == ["a-1", "a-2"]
    assert watch.seconds == pace.watch_seconds("AIApi-a")
    assert not watch.ended
    assert world.state.pace.interval == pace.WATCHED_INTERVAL
    watch.on_answer()
    assert world.woken == [world.now]
    await world.tick(after=50.0)
    assert watch.ended
    assert not last_watch(world).ended


async def test_a_day_at_rest_changes_nothing_and_reports_nothing(world: World) -> None:
    assert set(await rest(world, 24 * 72)) == {pace.WATCHED_INTERVAL}
    assert world.cluster.events == []
    assert world.condition("MetricsStale")["status"] == "False"


async def test_costs_and_profile_are_those_of_many_short_ticks() -> None:
    seen = []
    for every in (60.0, 10.0):
        world = await idle_world()
        await rest(world, int(3600 / every), every=every)
        memory = world.state.sizer.sizing.memory
        usage: Usage = memory[Usage]
        totals = usage.seconds, usage.worker_seconds, usage.pod_seconds, usage.missed_seconds
        profile: DailyProfile = memory[DailyProfile]
        seen.append((totals, profile.seen, profile.jumps))
    assert seen[0] == seen[1]


async def test_it_is_not_watched_while_it_has_work(world: World) -> None:
    many = len(world.pods.watches)
    await world.tick(after=10.0)
    many += 1
    for served in (100, 200, 300):
        world.now += 2.0
        for name in ("a-1", "a-2"):
            world.answer(name, longest_wait=60, succeeded=served, loop_seconds=served / 200)
        await world.tick_now()
        assert world.state.pace.interval == 0.0
    assert len(world.pods.watches) == many
    assert last_watch(world).ended


@pytest.mark.parametrize("longest_wait", [0, 44])
async def test_pods_that_cannot_hold_an_answer_back_are_not_watched(longest_wait: int) -> None:
    world = await idle_world(longest_wait=longest_wait)
    assert world.pods.watches == []
    assert await rest(world, 3, every=10.0) == [pace.IDLE_INTERVAL] * 3


async def test_a_fleet_that_may_go_to_zero_is_not_watched() -> None:
    """It would be up to a minute late. ``toZeroAfter`` is 15 minutes here."""
    world = World(
        spec={
            **SPEC,
            "replicas": {"min": 0, "max": 9},
            "scaling": {"toZeroAfter": "15m"},
        }
    )
    await world.tick()
    world.add_pods("a-1", longest_wait=60, idle_seconds=0.0)
    for _ in range(40):
        await world.tick(after=10.0)
    assert world.state.pace.interval == pace.IDLE_INTERVAL
    assert world.pods.watches == []


async def test_it_is_not_watched_where_connections_are_scarce(world: World) -> None:
    world.pods.watchable = False
    assert await rest(world, 2, every=50.0) == [pace.IDLE_INTERVAL] * 2
    world.pods.watchable = True
    assert await rest(world, 1, every=10.0) == [pace.WATCHED_INTERVAL]


async def test_watches_that_end_for_nothing_are_not_repeated_for_a_minute(world: World) -> None:
    """A proxy may refuse a long request. Without this, each would cause the next tick."""
    many = len(world.pods.watches)
    intervals = await rest(world, 1, every=0.5)
    intervals += await rest(world, 6, every=10.0)
    idle, watched = pace.IDLE_INTERVAL, pace.WATCHED_INTERVAL
    assert intervals == [idle] * pace.UNWATCHED_TICKS + [watched]
    assert len(world.pods.watches) == many + 1
    assert await rest(world, 3, every=15.0) == [watched] * 3, "as one that ends after 15 s does"


async def test_a_request_soon_after_is_not_for_nothing(world: World) -> None:
    for number in range(5):
        world.now += 3.0
        for name in ("a-1", "a-2"):
            world.answer(name, longest_wait=60, succeeded=1 + number)
        await world.tick_now()
        assert world.state.pace.interval == 0.0
        for _ in range(40):
            world.now += 2.0
            for name in ("a-1", "a-2"):
                world.answer(name, longest_wait=60, succeeded=1 + number)
            await world.tick_now()
            if world.state.pace.interval:
                break
        assert world.state.pace.interval == pace.WATCHED_INTERVAL


async def test_it_is_watched_again_before_a_schedule_only_if_a_tick_comes_in_time() -> None:
    noon = {"name": "noon", "start": "0 12 * * *", "duration": "1h", "minReplicas": 4}
    world = await idle_world(scaling={"schedules": [noon]})
    start = world.now + 400.0
    world.wall_clock_error = 12 * 3600 - start
    watched = []
    while world.now + 10.0 < start:
        (interval,) = await rest(world, 1, every=10.0)
        if interval == pace.WATCHED_INTERVAL:
            watched.append(start - world.now)
    assert watched
    assert min(watched) - pace.WATCHED_INTERVAL > pace.SCHEDULE_AHEAD


async def test_an_aiapi_whose_status_could_not_be_written_is_not_idle(world: World) -> None:
    world.cluster.refuse["status",] = Unavailable("the API server is away")
    world.state.writer.written = None
    await world.tick(after=50.0)
    assert world.state.pace.interval == 0.0
    world.cluster.refuse.clear()
    await world.tick()
    assert world.state.pace.interval == pace.WATCHED_INTERVAL


async def test_the_watch_ends_with_the_leadership_and_with_the_aiapi(world: World) -> None:
    watch = last_watch(world)
    world.state.close()
    assert watch.ended
    await world.tick(after=50.0)
    watch = last_watch(world)
    world.leads.term += 1
    await world.tick(after=50.0)
    assert watch.ended


def test_aiapis_are_watched_for_45_to_60_seconds_and_do_not_tick_together() -> None:
    seconds = Counter(pace.watch_seconds(f"uid-{number}") for number in range(1600))
    assert sorted(seconds) == list(range(45, 61))
    assert max(seconds.values()) < 150
