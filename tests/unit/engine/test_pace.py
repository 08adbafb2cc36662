"""Which AIApis are idle, and how often they tick."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from engine_support.world import World
from msgspec import structs

from aiapi_operator.engine import pace
from aiapi_operator.engine.fleet import Observation
from aiapi_operator.engine.grants import Asked, GrantsState
from aiapi_operator.engine.resizer import ResizerState
from aiapi_operator.engine.sizer import SizingResult
from aiapi_operator.sizing.decision import Verdict
from aiapi_operator.sizing.inputs import Floor, PodSample, PodUnknown, UpcomingFloor

SPEC = {"replicas": {"min": 2, "max": 9}, "workers": {"min": 1, "max": 4, "resources": "Fixed"}}


async def idle_world(**spec: Any) -> World:
    world = World(spec={**SPEC, **spec})
    await world.settle()
    return world


Found = tuple[Observation, SizingResult, GrantsState, ResizerState]


@pytest.fixture
async def found(monkeypatch: pytest.MonkeyPatch) -> Found:
    """What the engine asks the rule about an idle AIApi."""
    asked: list[Found] = []
    monkeypatch.setattr(pace, "is_idle", lambda *found: asked.append(found))
    await idle_world()
    monkeypatch.undo()
    return asked[-1]


def sampled(**changes: Any) -> Callable[[Found], Found]:
    def change(found: Found) -> Found:
        observation, *_ = found
        first, *rest = observation.answers
        assert isinstance(first, PodSample)
        answers = (structs.replace(first, **changes), *rest)
        return replace(observation, answers=answers), *found[1:]

    return change


def of_pod(**changes: Any) -> Callable[[Found], Found]:
    def change(found: Found) -> Found:
        observation, *_ = found
        first, *rest = observation.pods
        pods = [replace(first, **changes), *rest]
        return replace(observation, pods=pods), *found[1:]

    return change


def observed(**changes: Any) -> Callable[[Found], Found]:
    return lambda found: (replace(found[0], **changes), *found[1:])


def decided(**changes: Any) -> Callable[[Found], Found]:
    def change(found: Found) -> Found:
        observation, result, *_ = found
        return (
            observation,
            replace(result, decision=replace(result.decision, **changes)),
            *found[2:],
        )

    return change


def arrivals(rate: float | None) -> Callable[[Found], Found]:
    def change(found: Found) -> Found:
        load = replace(found[1].decision.load, arrivals_per_second=rate)
        return decided(load=load)(found)

    return change


def begins_in(seconds: float) -> Callable[[Found], Found]:
    floor = UpcomingFloor(floor=Floor(name="noon", workers=1, replicas=2), seconds=seconds)

    def change(found: Found) -> Found:
        observation, result, *_ = found
        return (
            observation,
            replace(result, spec=replace(result.spec, upcoming=(floor,))),
            *found[2:],
        )

    return change


def silent(found: Found) -> Found:
    observation, *_ = found
    unknown = PodUnknown(pod="a-1", ready=True, reason="no answer")
    answers = (unknown, *observation.answers[1:])
    return replace(observation, answers=answers), *found[1:]


def without_pods(found: Found) -> Found:
    return observed(pods=[], answers=())(found)


def resizing(found: Found) -> Found:
    asked = Asked(workers=2, resources={}, time=0.0)
    return *found[:2], GrantsState(unanswered={"uid": asked}), found[3]


def asking(found: Found) -> Found:
    return *found[:3], ResizerState(resizing={"uid": None})  # type: ignore[dict-item]


def refused(found: Found) -> Found:
    return *found[:2], GrantsState(refusals={"uid": None}), found[3]  # type: ignore[dict-item]


CHANGES = {
    "a request is open": sampled(in_flight=1),
    "a connection waits to be accepted": sampled(accept_queue_depth=1),
    "a WebSocket is open": sampled(open_websockets=1),
    "a response streams": sampled(open_streams=1),
    "requests arrived lately": arrivals(0.2),
    "arrivals are not known yet": arrivals(None),
    "a worker drains": sampled(workers_draining=1),
    "a worker starts": sampled(workers_ready=0),
    "more workers than decided": sampled(workers_wanted=2, workers_ready=2),
    "workers do not start": sampled(failure="ImportError"),
    "a pod is not ready by itself": sampled(ready=False),
    "a pod is not ready for Kubernetes": of_pod(ready=False),
    "a pod is silent": silent,
    "no pod runs": without_pods,
    "a resize is under way": resizing,
    "a resize is being asked for": asking,
    "a resize was refused": refused,
    "children cannot be applied": observed(apply_errors=["Service: forbidden"]),
    "the Deployment is not scaled yet": observed(deployment={"spec": {"replicas": 3}}),
    "the fleet is to grow": decided(replicas=3, verdict=Verdict.SCALED_UP),
    "the fleet may shrink later": decided(workers=2, verdict=Verdict.STABILIZING),
    "the fleet is held": decided(verdict=Verdict.HOLDING),
    "the operator has just started": decided(verdict=Verdict.WARMING_UP),
    "a schedule begins within a minute": begins_in(60.0),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_keeps_an_aiapi_from_being_idle(
    found: Found, change: Callable[[Found], Found]
) -> None:
    assert pace.is_idle(*found)
    assert not pace.is_idle(*change(found))


def test_a_schedule_later_on_does_not(found: Found) -> None:
    assert pace.is_idle(*begins_in(61.0)(found))


def test_a_fleet_that_is_scraped_in_parts_is_never_idle(
    found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "WHOLE_FLEET", 1)
    assert not pace.is_idle(*found)


async def test_an_idle_aiapi_that_cannot_be_watched_ticks_every_ten_seconds() -> None:
    world = await idle_world()
    assert world.state.pace.interval == 10.0


async def test_samples_are_used_at_the_interval_of_an_idle_aiapi() -> None:
    """An hour of idle ticks changes, loses and reports nothing."""
    world = await idle_world()
    for _ in range(360):
        await world.tick(after=10.0)
        assert world.state.pace.interval == 10.0
    assert world.cluster.events == []
    assert world.condition("MetricsStale")["status"] == "False"


async def test_the_first_request_ends_the_rest_and_is_followed_at_once() -> None:
    """After a minute at rest, load of 100 % of a loop is followed within two more ticks."""
    world = await idle_world()
    for name in ("a-1", "a-2"):
        world.answer(name, longest_wait=60)
    for _ in range(10):
        await world.tick(after=50.0)
    served = 0
    for after, share in ((50.0, 0.01), (2.0, 1.0), (2.0, 1.0)):
        served += round(20 * after * share)
        world.now += after
        for name, last in list(world.pods.answers.items()):
            assert isinstance(last, PodSample)
            workers = last.workers_wanted
            world.answer(name, workers=workers, succeeded=served, loop_seconds=0.05 * served)
        await world.tick_now()
        assert world.state.pace.interval == 0.0
    decision = world.written["decision"]
    assert decision["workers"] * decision["replicas"] >= 4


def asleep(uid: str, *schedules: float) -> float:
    """The interval of an AIApi at zero, with schedules that begin after so many seconds."""
    state = pace.PaceState()
    floor = Floor(name="day", replicas=1, workers=1)
    pace.sleep(state, uid, [UpcomingFloor(floor=floor, seconds=each) for each in schedules])
    return state.interval


def test_aiapis_at_zero_tick_every_five_to_ten_minutes_and_not_together() -> None:
    intervals = [asleep(f"uid-{number}") for number in range(1000)]
    assert 300 <= min(intervals) < 310
    assert 590 < max(intervals) < 600
    in_one_second = Counter(map(int, intervals))
    assert max(in_one_second.values()) < 20
    assert asleep("uid-1") == asleep("uid-1")


def test_a_schedule_ends_the_rest_at_zero() -> None:
    assert asleep("uid-1", 7200.0, 40.0) == 40.0
    assert asleep("uid-1", 7200.0) == asleep("uid-1")
    assert asleep("uid-1", 0.0) == 1.0
