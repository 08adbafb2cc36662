"""Requests of a worker follow its use: up immediately, down later, within bounds."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from unit.sizing import samples
from unit.sizing.fleet_model import FleetModel, condition, spec
from unit.sizing.samples import facts, pod

from aiapi_operator.sizing.capacity import UtilizationTarget
from aiapi_operator.sizing.decide import decide
from aiapi_operator.sizing.learners.worker_use import (
    LEARNER,
    TUNING,
    WorkerUse,
    learn,
    priced,
    restore,
)
from aiapi_operator.sizing.state import ThreadUse, Tick

LEARNED = spec(learn_resources=True)
MIB = 2**20


def row(
    count: int = 30, *, loop: float = 1.2, cpu: float = 1.08, busiest: float = 0.3, **changes: Any
) -> tuple[Tick, ...]:
    """4 workers with 1.2 loop seconds and 1.08 CPU seconds per second."""
    return samples.row(count, loop=loop, cpu=cpu, busiest=busiest, **changes)


def after(
    ticks: tuple[Tick, ...], known: WorkerUse | None = None, *, rss: float = 0.0
) -> WorkerUse:
    """rho* is 0.65; a pod with two workers has ``rss`` MiB resident."""
    at = ticks[-1].time
    found = learn(
        known,
        facts(
            ticks,
            user_spec=LEARNED,
            known=(UtilizationTarget(0.65),),
            pods=(pod(at, rss_bytes=int(rss * MIB)),),
        ),
    )
    assert found is not None
    return found


def follow(known: WorkerUse | None, wanted: float | None, at: float) -> WorkerUse:
    """The use after a minute in which workers needed ``wanted`` cores and a GiB for each."""
    if wanted is None:
        return after(row(5, start=at), known)
    ticks = row(cpu=wanted * 1.2 / 0.65 / 1.1, start=at - 60)
    return after(ticks, known, rss=2 * wanted * 1024 / 1.25)


def test_the_worked_example() -> None:
    assert after(row()).cpu == pytest.approx(0.65)
    assert after(row(cpu=1.2)).cpu == pytest.approx(0.72), "0.65 x 1.1 in steps of 10 millicores"


def test_a_loop_busier_than_planned_raises_the_cpu() -> None:
    assert after(row(busiest=0.9)).cpu == pytest.approx(0.9 * 0.9 * 1.1, abs=0.01)


def test_where_threads_run_out_loops_reach_less() -> None:
    threads = (ThreadUse(name="anyio", limit=40, busy=64.0, waiting=0.0),)
    # Half of the planned threads at 30 % utilization: loops reach 60 %.
    found = after(row(threads=threads, cpu=2.4))
    assert found.cpu == pytest.approx(0.6 * 2.0 * 1.1, abs=0.01)


def test_idle_loops_and_short_windows_give_no_cpu() -> None:
    assert after(row(loop=0.1)).cpu == 0.0
    assert after(row(10)).cpu == 0.0


def test_memory_is_that_of_the_fullest_pod_with_a_quarter_to_spare() -> None:
    at = row()[-1].time
    pods = (
        pod(at, "a", rss_bytes=600 * MIB),
        pod(at, "b", rss_bytes=800 * MIB),
        pod(at, "c", rss_bytes=900 * MIB, ready=False),
        pod(at, "d", rss_bytes=900 * MIB, workers_draining=1),
    )
    found = learn(None, facts(row(), user_spec=LEARNED, pods=pods))
    assert found is not None
    assert found.memory == 500 * MIB


@pytest.mark.parametrize(("pods", "read"), [(99, 800), (100, 512)])
def test_in_large_fleets_memory_is_that_of_about_fifty_pods(pods: int, read: int) -> None:
    at = row()[-1].time
    fleet = [pod(at, f"a-{i}", rss_bytes=512 * MIB) for i in range(pods)]
    fleet[1] = pod(at, "a-1", rss_bytes=800 * MIB)
    found = learn(None, facts(row(), user_spec=LEARNED, pods=fleet))
    assert found is not None
    assert found.memory == read / 2 * 1.25 * MIB


def test_requests_rise_immediately_and_fall_after_ten_minutes() -> None:
    use = follow(None, 0.8, 60.0)
    assert (use.cpu, use.memory) == (pytest.approx(0.8, abs=0.011), 820 * MIB)
    high = use
    for at in range(62, 660, 2):
        use = follow(use, 0.3, float(at))
        assert (use.cpu, use.memory) == (high.cpu, high.memory)
    use = follow(follow(use, 0.3, 660.0), 0.3, 662.0)
    assert (use.cpu, use.memory) == (
        pytest.approx(0.3, abs=0.011),
        pytest.approx(307 * MIB, rel=0.01),
    )


def test_small_changes_cause_no_resize() -> None:
    use = follow(None, 0.8, 60.0)
    assert follow(use, 0.83, 62.0).cpu == use.cpu
    for at in range(62, 1400, 2):
        use = follow(use, 0.71, float(at))
    assert use.cpu == pytest.approx(0.8, abs=0.011)


def test_unknown_use_keeps_the_requests() -> None:
    use = high = follow(None, 0.8, 60.0)
    for at in range(62, 1400, 2):
        use = follow(use, None, float(at))
    assert (use.cpu, use.memory) == (high.cpu, high.memory)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(0, 50)), min_size=1, max_size=60))
def test_requests_stay_within_a_fifth_and_four_times(wanted: list[float | None]) -> None:
    use = WorkerUse()
    for turn, value in enumerate(wanted, start=2):
        use = follow(use, value, 37.0 * turn)
        now = priced(LEARNED, use)
        assert 0.1 <= now.worker_cpu <= 2.0 + 1e-9
        assert 51 * MIB <= now.worker_memory <= 1024 * MIB
        if value is not None:
            # Never far below the use, within the bound.
            assert now.worker_cpu * TUNING.more >= min(value, 2.0) - 1e-9


def test_fixed_resources_learn_nothing() -> None:
    assert learn(WorkerUse(cpu=0.8), facts(row())) is None
    assert priced(spec(), WorkerUse(cpu=0.8)) == spec()
    assert priced(LEARNED, None) == LEARNED


def test_it_is_restored() -> None:
    known = WorkerUse(cpu=0.64, memory=300 * MIB, since=5.0)
    assert restore(LEARNER.checkpoint(known, {})) == WorkerUse(cpu=0.64, memory=300 * MIB)
    assert LEARNER.checkpoint(WorkerUse(), {}) == {}


def test_restored_requests_do_not_fall_for_a_window() -> None:
    model = FleetModel(LEARNED)
    model.state = replace(model.state, memory={WorkerUse: WorkerUse(cpu=0.9, memory=400 * MIB)})
    model.run(300)
    assert model.last.worker_cpu == 0.9
    assert model.last.worker_memory == 400 * MIB


@pytest.mark.parametrize("value", [None, 5, "", "nan", "lots", "-1", [], {}])
def test_a_senseless_checkpoint_is_ignored(value: object) -> None:
    assert restore({"workerCpu": value, "workerMemory": value}) == WorkerUse()


def test_a_decision_has_the_requests_of_a_worker() -> None:
    model = FleetModel(LEARNED)
    model.rate = 40.0
    model.run(50)
    assert model.last.worker_cpu == 0.5
    model.run(20)
    # The model's loops use a CPU second a second.
    rho = model.last.need.target_utilization
    assert model.last.worker_cpu == pytest.approx(rho * 1.1, abs=0.02)
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
        first = structs.replace(fleet.pods[0], cpu_throttled_seconds=throttled, cpu_limit_cores=0.5)
        fleet = replace(fleet, pods=(first, *fleet.pods[1:]))
        decision = decide(model.spec, fleet, model.state, model.now)
        model.state = decision.state
    status, message = condition(decision, "CPUThrottled")
    assert status is True
    assert "A CPU limit of 0.5 cores throttled a pod for 20 % of the last minute" in message


@pytest.mark.parametrize(("rss", "memory"), [(448, 0), (452, 283 * MIB)])
def test_what_is_spare_covers_a_rise_of_a_tenth(rss: int, memory: int) -> None:
    """The spec has 256 MiB: 448 / 2 x 1.25 are 280, and 452 / 2 x 1.25 are 282.5."""
    at = row()[-1].time
    found = learn(None, facts(row(), user_spec=LEARNED, pods=[pod(at, "a", rss_bytes=rss * MIB)]))
    assert found is not None
    assert found.memory == memory
