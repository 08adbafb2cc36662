"""Schedules: their floors apply from their start, and before it for as long as pods take."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.sizing.fleet_model import FleetModel, spec
from unit.sizing.samples import facts

from aiapi_operator.sizing.decision import Binding
from aiapi_operator.sizing.inputs import Bounds, Floor, UpcomingFloor
from aiapi_operator.sizing.learners.pod_start import PodStart
from aiapi_operator.sizing.needs.schedule import need

OFFICE = Floor(replicas=6, workers=2, name="office-hours")
NIGHT = Floor(replicas=3, workers=4, name="night-jobs")


@pytest.mark.parametrize(
    ("floors", "workers", "replicas", "reason"),
    [
        pytest.param((OFFICE,), 2, 6, "schedule office-hours: 6 pods x 2", id="one"),
        pytest.param(
            (OFFICE, NIGHT), 4, 6, "schedule office-hours, night-jobs: 6 pods x 4", id="two"
        ),
        pytest.param((Floor(name="low"),), 1, 2, "schedule low: 2 pods x 1", id="under the user's"),
        pytest.param(
            (Floor(replicas=99, workers=99, name="high"),),
            8,
            20,
            "schedule high: 20 pods x 8",
            id="over the maximum",
        ),
    ],
)
def test_the_floors_of_active_schedules(
    floors: tuple[Floor, ...], workers: int, replicas: int, reason: str
) -> None:
    found = need(facts(user_spec=spec(floors=floors)), 3.0)
    assert found is not None
    assert (found.binding, found.reason) == (Binding.FLOOR, reason)
    assert (found.min_workers, found.min_replicas) == (workers, replicas)


@pytest.mark.parametrize(("seconds", "applies"), [(34.0, False), (33.0, True)])
def test_a_floor_applies_before_its_start(seconds: float, applies: bool) -> None:
    early = spec(upcoming=(UpcomingFloor(floor=OFFICE, seconds=seconds),))
    found = need(facts(user_spec=early, known=[PodStart(seconds=20.0)]), 3.0)
    assert (found is not None) is applies


def test_without_a_schedule_nothing_is_needed() -> None:
    assert need(facts(), 3.0) is None


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
    model.run(40)
    assert model.size[1] < 6


several = st.lists(
    st.builds(Floor, workers=st.integers(0, 20), replicas=st.integers(0, 50)), max_size=4
)


@settings(max_examples=50, deadline=None)
@given(several, several, st.floats(0, 1e5))
def test_floors_stay_within_the_bounds(
    now: list[Floor], later: list[Floor], seconds: float
) -> None:
    user_spec = spec(
        workers=Bounds(min=2, max=6),
        replicas=Bounds(min=3, max=9),
        floors=tuple(now),
        upcoming=tuple(UpcomingFloor(floor=floor, seconds=seconds) for floor in later),
    )
    found = need(facts(user_spec=user_spec), 3.0)
    if found is None:
        assert not now
        return
    assert 2 <= found.min_workers <= 6
    assert 3 <= found.min_replicas <= 9
    for floor in now:
        assert found.min_workers >= min(6, floor.workers)
        assert found.min_replicas >= min(9, floor.replicas)
