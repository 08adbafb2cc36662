"""Overprovisioned: what each floor costs beyond the load, and when that is reported."""

from dataclasses import replace

import pytest
from unit.sizing.fleet_model import FleetModel, condition, spec
from unit.sizing.requirements import needed, size
from unit.sizing.samples import facts, row

from aiapi_operator.sizing.diagnoses.overprovisioned import Surplus, check, learn, surplus
from aiapi_operator.sizing.inputs import Bounds, Floor, SizingSpec
from aiapi_operator.sizing.learners.need_history import NeedHistory
from aiapi_operator.sizing.learners.request_memory import RequestMemory
from aiapi_operator.sizing.learners.worker_use import WorkerUse
from aiapi_operator.sizing.plan import RequiredWorkers
from aiapi_operator.sizing.state import Latch

NEED = RequiredWorkers(2.0, 1.6)
FLOORS = spec(workers=Bounds(min=2, max=8), replicas=Bounds(min=6, max=20))


def of(user_spec: SizingSpec, *known: object) -> Surplus:
    return surplus(facts(row(), user_spec=user_spec, known=known), NEED)


def test_the_worked_example() -> None:
    found = of(FLOORS)
    assert (found.lean, found.held) == (size(1, 3), size(2, 6))
    assert found.lean_hour == pytest.approx(0.0608, abs=0.0001)
    assert found.reserve_hour == pytest.approx(0.0239, abs=0.0001)
    assert dict(found.parts) == {
        "replicas.min 6": pytest.approx(0.0608, abs=0.0001),
        "workers.min 2": pytest.approx(0.1001, abs=0.0001),
    }


def test_a_schedule_is_listed_separately() -> None:
    office = spec(floors=(Floor(workers=2, replicas=6, name="office"),))
    found = of(office)
    assert found.held == size(2, 6)
    assert [name for name, _ in found.parts] == ["schedule office"]


def test_pods_for_memory_are_needed_by_the_load() -> None:
    found = of(FLOORS, RequestMemory(pods=((0.0, 6.0),)))
    assert found.lean == size(1, 6)
    assert [name for name, _ in found.parts] == ["workers.min 2"]


def test_learned_resources_set_the_price() -> None:
    learned = replace(FLOORS, learn_resources=True)
    cheap, usual = of(learned, WorkerUse(cpu=0.25)), of(learned)
    assert dict(cheap.parts)["workers.min 2"] < 0.7 * dict(usual.parts)["workers.min 2"]


@pytest.mark.parametrize(
    ("found", "message"),
    [
        pytest.param(
            of(FLOORS),
            "Minimums keep 6 pods x 2 while the recent load needs 3 pods x 1: replicas.min 6 adds"
            " 0.0608 USD per hour, workers.min 2 adds 0.1 USD per hour (the spare pod costs 0.0239"
            " USD per hour). Lower them unless you expect more load.",
            id="floors that cost",
        ),
        pytest.param(
            replace(of(FLOORS), parts=()),
            "Until recently, minimums kept more than the load needs; the spare pod costs 0.0239"
            " USD per hour.",
            id="floors that cost nothing any more",
        ),
    ],
)
def test_floors_that_are_too_high(found: Surplus, message: str) -> None:
    known = [replace(found, latch=Latch(on=True))]
    condition = check(facts(row(), user_spec=FLOORS, known=known), needed(2.0), size(2, 6))
    assert (condition.type, condition.status) == ("Overprovisioned", True)
    assert (condition.reason, condition.message) == ("FloorsHoldMore", message)


def test_floors_that_fit() -> None:
    found = check(facts(row(), known=[of(spec())]), needed(2.0), size(1, 3))
    assert (found.status, found.reason) == (False, "FloorsFit")
    assert found.message == (
        "No minimum costs much more than the recent load needs; the spare pod costs 0.0239 USD per"
        " hour."
    )


def test_without_prices_the_cost_is_in_cores() -> None:
    free = spec(price=replace(spec().price, cpu_hour=0.0, memory_gib_hour=0.0))
    found = check(facts(row(), user_spec=free, known=[of(free)]), needed(2.0), size(1, 3))
    assert found.message.endswith("the spare pod costs 0.7 cores per hour.")


@pytest.mark.parametrize("known", [[], [of(FLOORS)]])
def test_without_data_it_is_unknown(known: list[Surplus]) -> None:
    ticks = () if known else row()
    found = check(facts(ticks, known=known), needed(2.0), size(1, 3))
    assert (found.status, found.reason, found.message) == (None, "NoData", "The need is unknown.")


def learned(known: Surplus | None, *, at: float, user_spec: SizingSpec = FLOORS) -> Surplus | None:
    history = NeedHistory(samples=(2.0,), replicas=((0.0, 2.0),))
    return learn(known, facts(row(), user_spec=user_spec, known=[history], now=at))


def test_it_is_computed_every_ten_seconds() -> None:
    first = learned(None, at=100.0)
    assert first is not None
    assert learned(first, at=108.0) is first
    later = learned(first, at=110.0)
    assert later is not None
    assert later.time == 110.0
    assert learn(None, facts(row(), user_spec=FLOORS)) is None, "no need is known yet"
    assert learn(first, facts((), now=200.0)) is first, "metrics are missing"


@pytest.mark.parametrize(
    ("replicas", "start", "seconds", "on"),
    [
        pytest.param(4, False, 300.0, True, id="a third more, for five minutes"),
        pytest.param(4, False, 290.0, False, id="a third more, not for long enough"),
        pytest.param(3, True, 60.0, False, id="nothing more, for a minute"),
        pytest.param(3, True, 50.0, True, id="nothing more, not for long enough"),
    ],
)
def test_the_finding_needs_time_to_turn(
    replicas: int, start: bool, seconds: float, on: bool
) -> None:
    user_spec = spec(replicas=Bounds(min=replicas, max=20))
    found = learned(None, at=0.0, user_spec=user_spec)
    assert found is not None
    found = replace(found, time=-10.0, latch=Latch(on=start))
    for step in range(int(seconds / 10.0) + 1):
        found = learned(found, at=10.0 * step, user_spec=user_spec)
        assert found is not None
    assert found.latch.on is on


def test_floors_that_cost_a_seventh_change_nothing() -> None:
    """Between a tenth and a fifth, the finding stays: 8 pods instead of 7."""
    history = NeedHistory(samples=(7.0,), replicas=((0.0, 7.0),))
    eight = spec(workers=Bounds(min=1, max=1), replicas=Bounds(min=8, max=20))
    for on in (True, False):
        now = facts(row(), user_spec=eight, known=[history], now=900.0)
        known = replace(of(eight), time=0.0, latch=Latch(on=on, since=0.0))
        found = learn(known, now)
        assert found is not None
        over = sum(hour for _, hour in found.parts) / found.lean_hour
        assert 0.1 < over < 0.2
        assert found.latch == Latch(on=on)


# The whole right-sizer


def test_the_spare_pod_is_not_a_surplus() -> None:
    model = FleetModel(spec())
    model.run(320)
    status, message = condition(model.last, "Overprovisioned")
    assert status is False
    assert "the spare pod costs 0.0" in message


@pytest.mark.property
def test_expensive_floors_are_reported_with_their_price_after_five_minutes() -> None:
    model = FleetModel(spec(replicas=Bounds(min=6, max=20)), replicas=6)
    model.run(250)
    assert condition(model.last, "Overprovisioned")[0] is False
    model.run(100)
    status, message = condition(model.last, "Overprovisioned")
    assert status is True
    assert message.startswith("Minimums keep 6 pods x 1 while the recent load needs 2 pods x 1:")
    assert "replicas.min 6 adds 0.0" in message
    assert "USD per hour" in message
    model.rate = 400.0
    model.run(90)
    assert condition(model.last, "Overprovisioned")[0] is False
