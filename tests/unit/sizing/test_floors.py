"""Floors in addition to the user's: upcoming schedules and memory of requests in flight."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.sizing.fleet_model import FleetModel, spec

from aiapi_operator.sizing import floors, memory
from aiapi_operator.sizing.decide import decide
from aiapi_operator.sizing.decision import Binding
from aiapi_operator.sizing.inputs import Bounds, Floor, UpcomingFloor
from aiapi_operator.sizing.state import WorkerMemory

OFFICE = Floor(replicas=6, workers=2, name="office-hours")


def applied(seconds: float) -> tuple[int, int]:
    """(workers.min, replicas.min) ``seconds`` before the schedule; pods take 20 s."""
    user_spec = spec(upcoming=(UpcomingFloor(floor=OFFICE, seconds=seconds),))
    found = floors.apply(user_spec, pod_lead=20.0, memory_pods=0)
    return found.workers.min, found.replicas.min


def test_the_worked_example() -> None:
    assert applied(34.0) == (1, 2)
    assert applied(33.0) == (2, 6)


def test_a_schedule_keeps_pods_and_is_reported() -> None:
    model = FleetModel(spec())
    model.run(20)
    model.spec = spec(floors=(OFFICE,))
    model.run(4)
    assert model.size == (2, 6)
    assert model.last.need.binding is Binding.FLOOR
    assert "schedule office-hours: 6 pods x 2" in model.last.message


@pytest.mark.property
def test_pods_are_ready_at_the_schedule_start_and_removed_after_it() -> None:
    model = FleetModel(spec())
    model.pod_start = 8.0
    model.run(60)
    start = model.now + 40
    while model.now < start:
        model.spec = spec(upcoming=(UpcomingFloor(floor=OFFICE, seconds=start - model.now),))
        model.run(2)
    assert sum(pod.ready for pod in model.pods) == 6
    model.spec = spec(floors=(OFFICE,))
    model.run(400)
    assert model.size == (2, 6)
    model.spec = spec()
    model.run(30)
    assert model.size[1] < 6


several = st.lists(
    st.builds(Floor, workers=st.integers(0, 20), replicas=st.integers(0, 50)), max_size=4
)


@settings(max_examples=50, deadline=None)
@given(several, several, st.floats(0, 1e5), st.integers(0, 10**6))
def test_floors_stay_within_the_bounds_and_never_lower_them(
    now: list[Floor], later: list[Floor], seconds: float, pods: int
) -> None:
    user_spec = spec(
        workers=Bounds(min=2, max=6),
        replicas=Bounds(min=3, max=9),
        floors=tuple(now),
        upcoming=tuple(UpcomingFloor(floor=floor, seconds=seconds) for floor in later),
    )
    found = floors.apply(user_spec, pod_lead=10.0, memory_pods=pods)
    assert 2 <= found.workers.min <= found.workers.max == 6
    assert 3 <= found.replicas.min <= found.replicas.max == 9
    for floor in now:
        assert found.workers.min >= min(6, floor.workers)
        assert found.replicas.min >= min(9, floor.replicas)


# Memory of requests in flight

MIB = 2**20


def held(in_flight: int, *, rss: float, limit: int = 512 * MIB) -> FleetModel:
    sample = FleetModel(spec()).pods[0].sample(0.0, 0.01)
    return replace(sample, in_flight=in_flight, rss_bytes=int(rss * MIB), memory_limit_bytes=limit)


def seen(*points: tuple[int, float], workers: int = 1, limit: int = 512 * MIB) -> WorkerMemory:
    known = WorkerMemory()
    for _ in range(6):
        for in_flight, rss in points:
            said = held(in_flight * workers, rss=rss * workers, limit=limit)
            said = replace(said, workers_ready=workers)
            known = memory.learn(known, [said], seconds=2.0)
    return known


def test_the_worked_example_of_memory() -> None:
    known = seen((0, 100), (100, 110), (500, 150))
    assert known.request is not None
    assert known.request.bytes == pytest.approx(0.1 * MIB, rel=0.02)
    assert known.request.worker == pytest.approx(100 * MIB, rel=0.02)
    assert memory.pods(known, [held(0, rss=100)], in_flight=6000, workers=2) == 3


def test_memory_released_late_does_not_hide_the_request_memory() -> None:
    known = seen((0, 100), (100, 110), (500, 150))
    for _ in range(30):
        known = memory.learn(known, [held(0, rss=150)], seconds=2.0)
    assert known.request is not None
    assert known.request.bytes == pytest.approx(0.1 * MIB, rel=0.3)


def test_without_a_memory_limit_no_pods_are_needed() -> None:
    known = seen((0, 100), (100, 110), (500, 150), limit=0)
    assert known == WorkerMemory()
    assert memory.pods(known, [held(0, rss=100, limit=0)], in_flight=10**6, workers=1) == 0


def test_too_little_memory_data_needs_no_pods() -> None:
    assert seen((0, 100), (5, 101), (9, 103)).request is None
    assert seen((500, 150), (510, 151)).request is None


def test_workers_that_fill_the_memory_limit_need_no_pods() -> None:
    known = seen((0, 100), (100, 110), (500, 150))
    assert memory.pods(known, [held(0, rss=100)], in_flight=6000, workers=8) == 0


def test_binding_memory_adds_pods_and_is_reported() -> None:
    model = FleetModel(spec())
    model.run(20)
    known = seen((0, 100), (100, 110), (500, 150))
    model.state = replace(model.state, memory=known)
    model.rate = 20.0
    model.upstream = 120.0

    def limited() -> None:
        fleet = model.fleet()
        pods = tuple(
            replace(
                pod, memory_limit_bytes=200 * MIB, rss_bytes=100 * MIB + pod.in_flight * MIB // 10
            )
            for pod in fleet.pods
        )
        decision = decide(model.spec, replace(fleet, pods=pods), model.state, model.now)
        model.state = decision.state
        model.decisions.append((model.now, decision))

    for _ in range(50):
        model.serve(2.0)
        limited()
    # 20 rps for 100 s in flight x 0.1 MiB are 200 MiB; a pod has 0.8 x 200 - 100 for requests.
    assert model.last.replicas in (4, 5)
    assert model.last.need.binding is Binding.MEMORY
    assert "pods for the memory of requests in flight" in model.last.message
