"""Requests of a worker follow its use: up immediately, down later, within bounds."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.sizing.fleet_model import FleetModel, condition, spec

from aiapi_operator.sizing import worker_use
from aiapi_operator.sizing.decide import decide
from aiapi_operator.sizing.state import Tick, WorkerUse

LEARNED = spec(learn_resources=True)
MIB = 2**20


def row(*, loop: float = 1.2, cpu: float = 1.08, busiest: float = 0.3) -> tuple[Tick, ...]:
    return tuple(
        Tick(
            time=2.0 * step,
            seconds=2.0,
            arrivals=100.0,
            completed=100.0,
            shed=0.0,
            in_flight=1.0,
            loop=loop,
            workers=4.0,
            busiest=busiest,
            heaviest=0.5,
            upstream=0.0,
            cpu=cpu,
            bounds=(),
            counts=(),
        )
        for step in range(1, 31)
    )


def test_the_worked_example() -> None:
    assert worker_use.cpu(row(), utilization=0.65) == pytest.approx(0.64, abs=0.005)


def test_a_loop_busier_than_planned_raises_the_cpu() -> None:
    found = worker_use.cpu(row(busiest=0.9), utilization=0.65)
    assert found == pytest.approx(0.9 * 0.9 * 1.1)


def test_idle_loops_and_short_windows_give_no_cpu() -> None:
    assert worker_use.cpu(row(loop=0.1), utilization=0.65) is None
    assert worker_use.cpu(row()[:10], utilization=0.65) is None


def follow(use: WorkerUse, wanted: float | None, now: float) -> WorkerUse:
    memory = None if wanted is None else wanted * 512 * MIB
    return worker_use.learn(use, LEARNED, cpu=wanted, memory=memory, now=now)


def test_requests_rise_immediately_and_fall_after_ten_minutes() -> None:
    use = follow(WorkerUse(), 0.8, 0.0)
    assert (use.cpu, use.memory) == (pytest.approx(0.8), 410 * MIB)
    for now in range(2, 600, 2):
        use = follow(use, 0.3, float(now))
        assert use.cpu == pytest.approx(0.8)
    use = follow(use, 0.3, 602.0)
    assert (use.cpu, use.memory) == (pytest.approx(0.3), 154 * MIB)


def test_small_changes_cause_no_resize() -> None:
    use = follow(WorkerUse(), 0.8, 0.0)
    assert follow(use, 0.83, 2.0).cpu == use.cpu
    for now in range(2, 1400, 2):
        use = follow(use, 0.7, float(now))
    assert use.cpu == pytest.approx(0.8)


def test_unknown_use_keeps_the_requests() -> None:
    use = follow(WorkerUse(), 0.8, 0.0)
    for now in range(2, 1400, 2):
        use = follow(use, None, float(now))
    assert (use.cpu, use.memory) == (pytest.approx(0.8), 410 * MIB)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(0, 50)), min_size=1, max_size=60))
def test_requests_stay_within_a_fifth_and_four_times(wanted: list[float | None]) -> None:
    use = WorkerUse()
    for tick, value in enumerate(wanted):
        use = follow(use, value, 37.0 * tick)
        now = use.cpu or LEARNED.worker_cpu
        assert 0.1 <= now <= 2.0 + 1e-9
        if value is not None:
            # Never far below the use, within the bound.
            assert now * worker_use.MORE >= min(value, 2.0) - 1e-9


def test_fixed_resources_learn_nothing() -> None:
    assert worker_use.learn(WorkerUse(), spec(), cpu=2.0, memory=1e9, now=0.0) == WorkerUse()


def test_a_decision_has_the_requests_of_a_worker() -> None:
    model = FleetModel(LEARNED)
    model.rate = 40.0
    model.run(50)
    assert model.last.worker_cpu == 0.5
    model.run(20)
    # rho* is 0.77, and the model's loops use a CPU second a second.
    assert model.last.worker_cpu == pytest.approx(0.85, abs=0.02)
    assert model.last.worker_memory == 256 * MIB
    model.spec = spec()
    model.run(2)
    assert model.last.worker_cpu == 0.5


def test_throttling_is_reported_with_its_limit() -> None:
    model = FleetModel(spec())
    model.run(20)
    assert condition(model.last, "CPUThrottled") == (False, "No CPU limit throttles the pods.")
    throttled = 0.0
    for _ in range(30):
        model.serve(2.0)
        throttled += 0.4
        fleet = model.fleet()
        first = replace(fleet.pods[0], cpu_throttled_seconds=throttled, cpu_limit_cores=0.5)
        fleet = replace(fleet, pods=(first, *fleet.pods[1:]))
        decision = decide(model.spec, fleet, model.state, model.now)
        model.state = decision.state
    status, message = condition(decision, "CPUThrottled")
    assert status is True
    assert "A CPU limit of 0.5 cores throttled a pod for 20 % of the last minute" in message
