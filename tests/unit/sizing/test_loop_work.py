"""Loop work from loop time and waits for a CPU, and what is learned while workers wait."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from unit.sizing.fleet_model import FleetModel, condition, spec
from unit.sizing.samples import facts, learned, pod, row, tick

from aiapi_operator.sizing import loop_work, rates
from aiapi_operator.sizing.capacity import UtilizationTarget
from aiapi_operator.sizing.diagnoses import dependency_bound, event_loop_blocked
from aiapi_operator.sizing.inputs import Bounds, Fleet, PodSample
from aiapi_operator.sizing.learners import (
    base_latency,
    failures,
    queueing,
    service_demand,
    thread_time,
    worker_use,
)
from aiapi_operator.sizing.learners.base_latency import BaseLatency
from aiapi_operator.sizing.learners.demand import Demand
from aiapi_operator.sizing.learners.service_demand import ServiceDemand
from aiapi_operator.sizing.needs import concurrency, loop, threads
from aiapi_operator.sizing.requirement import together
from aiapi_operator.sizing.state import Size, State, ThreadUse, Tick


def measured(*pods: tuple[PodSample, PodSample]) -> Tick:
    """The tick between two samples of each pod, 2 s apart."""

    def seen(samples: Sequence[PodSample]) -> rates.FleetSamples:
        at = max(each.time for each in samples)
        return rates.validate(Fleet(replicas=len(samples), pods=tuple(samples)), now=at, interval=2)

    before = rates.measure(seen([pair[0] for pair in pods]), State(), now=100.0)
    state = State(now=100.0, samples=before.samples)
    found = rates.measure(seen([pair[1] for pair in pods]), state, now=102.0).tick
    assert found is not None
    return found


def grown(name: str = "a", **increases: float | None) -> tuple[PodSample, PodSample]:
    """A pod whose counters grow by these values in 2 s; None: it does not report one."""
    usual: dict[str, float | None] = {"worker_seconds": 4.0, "loop_cpu_seconds": 0.0}
    grows = usual | {"run_queue_seconds": 0.0} | increases
    first = {field: None if by is None else 50.0 for field, by in grows.items()}
    last = {field: None if by is None else 50.0 + by for field, by in grows.items()}
    return pod(100.0, name, **first), pod(102.0, name, succeeded=300, **last)


# Loop work


def test_loop_work_is_loop_time_without_the_wait_for_a_cpu() -> None:
    seen = measured(grown(loop_seconds=1.98, run_queue_seconds=1.38, loop_cpu_seconds=0.6))
    assert seen.loop == pytest.approx(0.30)
    assert seen.busiest == pytest.approx(0.15)
    assert seen.heaviest == pytest.approx(0.30)
    assert seen.waited == pytest.approx(0.69)
    assert seen.contended


def test_waits_of_an_idle_loop_do_not_take_work_away() -> None:
    # A loop that wakes up waits for a CPU before its loop time begins.
    seen = measured(grown(loop_seconds=0.4, run_queue_seconds=0.38, loop_cpu_seconds=0.3))
    assert seen.loop == pytest.approx(0.15)
    seen = measured(grown(loop_seconds=0.4, run_queue_seconds=9.0, loop_cpu_seconds=0.0))
    assert seen.loop == 0


def test_a_handler_that_blocks_works_all_the_time_that_it_holds_the_loop() -> None:
    seen = measured(grown(loop_seconds=1.0, run_queue_seconds=0.004, loop_cpu_seconds=0.02))
    assert seen.loop == pytest.approx(0.498)
    assert not seen.contended


def test_where_the_kernel_measures_no_wait_cpu_time_counts() -> None:
    seen = measured(grown(loop_seconds=1.98, run_queue_seconds=None, loop_cpu_seconds=0.6))
    assert seen.loop == pytest.approx(0.30)
    assert not seen.waits_known
    assert not seen.contended


def test_loop_time_of_an_older_runtime_counts_as_it_is() -> None:
    older = grown(loop_seconds=1.0, cpu_seconds=0.02, run_queue_seconds=None, loop_cpu_seconds=None)
    assert measured(older).loop == pytest.approx(0.5)
    assert not measured(older).waits_known


def test_pods_are_corrected_one_by_one() -> None:
    quiet = grown("quiet", loop_seconds=1.0, loop_cpu_seconds=0.9)
    noisy = grown("noisy", loop_seconds=3.8, run_queue_seconds=2.8, loop_cpu_seconds=0.9)
    unknown = grown("unknown", loop_seconds=3.8, run_queue_seconds=None, loop_cpu_seconds=0.9)
    seen = measured(quiet, noisy, unknown)
    assert seen.loop == pytest.approx(0.5 + 0.5 + 0.45)
    assert seen.busiest == pytest.approx(0.25)
    assert seen.crowded == (("noisy", pytest.approx(0.7)),)


def test_small_waits_are_not_contention() -> None:
    assert not loop_work.contended(loop=0.002, waited=0.003, workers=1.0), "an idle worker"
    assert not loop_work.contended(loop=0.5, waited=0.04, workers=1.0)
    assert not loop_work.contended(loop=0.29, waited=0.04, workers=1.0), "2 ms of each request"
    assert loop_work.contended(loop=0.5, waited=0.06, workers=1.0)


# While workers wait for a CPU


COST = ServiceDemand(seconds=0.0092, requests=1000.0)
BASE = BaseLatency(percentile=95, current=0.3, calm=0.3, time=0.0)
SLOW = {"contended": True, "waited": 2.0, "loop": 3.5, "busiest": 0.9, "counts": (0, 0, 200)}


def test_nothing_is_learned_of_what_requests_cost() -> None:
    assert learned(service_demand.learn, row(**SLOW), COST) == COST
    assert learned(base_latency.learn, row(**SLOW), BASE) == BASE
    quiet = row(**(SLOW | {"contended": False}))
    assert learned(service_demand.learn, quiet, COST) != COST


def test_nothing_is_learned_of_queueing() -> None:
    others = [COST, BASE, UtilizationTarget(utilization=0.6)]
    for contended in (False, True):
        ticks = row(
            40, loop=2.4, busiest=0.6, contended=contended, bounds=(0.1, 0.6), counts=(0, 200, 0)
        )
        found = learned(queueing.learn, ticks, known=others)
        assert found is not None
        assert found.learned is not contended


def test_a_first_cost_is_learned_but_not_well_known() -> None:
    found = learned(service_demand.learn, row(contended=True))
    assert found is not None
    assert found.seconds == pytest.approx(0.0092)
    assert not found.confident


POOL = ThreadUse(name="anyio", limit=40, busy=30.0, waiting=0.0)
CROWDED = replace(POOL, busy=120.0)


def test_threads_that_wait_for_a_cpu_are_no_demand_for_threads() -> None:
    quiet = row(threads=(POOL,))
    cost = learned(thread_time.learn, quiet)
    assert cost is not None
    ticks = (*quiet, *row(20, start=60.0, threads=(CROWDED,), contended=True))
    assert learned(thread_time.learn, ticks) == cost
    others = [cost, Demand(level=100.0)]
    usual = threads.need(facts(quiet, known=others), 10.0)
    contended = threads.need(facts(ticks, known=others), 10.0)
    assert usual is not None
    assert contended is not None
    assert contended.workers == pytest.approx(usual.workers, rel=0.1)


def test_requests_that_wait_for_a_cpu_are_no_demand_for_their_limit() -> None:
    desired = spec(max_concurrency=10)
    quiet = facts(row(in_flight=30.0), user_spec=desired, known=[BASE])
    crowded = facts(row(in_flight=400.0, contended=True), user_spec=desired, known=[BASE])
    usual, contended = concurrency.need(quiet, 10.0), concurrency.need(crowded, 10.0)
    assert usual is not None
    assert contended is not None
    assert contended.workers <= 2 * usual.workers


def test_a_workers_cpu_request_is_not_learned() -> None:
    desired = spec(learn_resources=True)
    ticks = row(31, cpu=3.0, contended=True)
    found = learned(worker_use.learn, ticks, user_spec=desired)
    assert found is not None
    assert found.cpu_peaks == ()
    calm = learned(worker_use.learn, row(31, cpu=3.0), user_spec=desired)
    assert calm is not None
    assert calm.cpu_peaks != ()


def test_requests_that_fail_for_want_of_a_cpu_are_not_taken_for_retries() -> None:
    lost = {"cancelled": 60.0, "arrivals": 160.0}
    for contended in (False, True):
        ticks = (*row(), *row(3, start=60.0, contended=contended, **lost))
        found = learned(failures.learn, ticks)
        assert found is not None
        assert (found.level is None) is contended


# Diagnoses


@pytest.mark.parametrize(
    ("waited", "claimed"),
    [(0.2, True), (3.0, None)],
    ids=["2 ms of wait per request", "loops full with waiting"],
)
def test_a_slow_upstream_is_claimed_only_if_the_wait_does_not_explain_it(
    waited: float, claimed: bool | None
) -> None:
    slow = {"bounds": (0.5, 2.0), "counts": (0, 0, 200), "in_flight": 250.0, "upstream": 240.0}
    ticks = row(contended=True, waited=waited, **slow)
    base = replace(BASE, current=0.3)
    seen, size = facts(ticks, known=[base, COST]), Size(workers=2, replicas=2)
    found = dependency_bound.DIAGNOSIS.check(seen, together([loop.need(seen, 10.0)]), size)
    assert found.status is claimed, found.message


def test_a_late_loop_without_a_cpu_is_not_a_blocked_one() -> None:
    late = [pod(60.0, workers_blocked=1, blocked_at="app.py:1 f")]
    for contended in (False, True):
        found = event_loop_blocked.learn(None, facts(row(contended=contended), pods=late))
        assert (found is None) is contended


def test_a_block_seen_before_is_forgotten_after_a_minute_all_the_same() -> None:
    known = event_loop_blocked.BlockedLoop(time=10.0, where="app.py:1 f", pod="a")
    ticks = (tick(100.0, contended=True),)
    assert event_loop_blocked.learn(known, facts(ticks)) is None


def crowd(model: FleetModel, waited: float) -> None:
    """All workers run at the pace of a crowded node from now on."""
    model.waiting_share = waited


def test_contention_is_reported_and_orders_nothing() -> None:
    model = FleetModel(spec(workers=Bounds(min=1, max=8), replicas=Bounds(min=1, max=4)))
    model.rate = 60.0
    model.run(400)
    quiet = model.last
    assert condition(quiet, "CPUContended") == (False, "Workers get a CPU when they need one.")
    crowd(model, 0.6)
    for _, decision in model.run(120):
        assert decision.workers * decision.replicas <= 2 * quiet.workers * quiet.replicas
        assert decision.need.service_demand == pytest.approx(quiet.need.service_demand)
    status, message = condition(model.last, "CPUContended")
    assert status is True
    assert "most in pod-" in message
    assert "Raise workers.cpu" in message
    crowd(model, 0.0)
    model.run(90)
    assert condition(model.last, "CPUContended")[0] is False


def test_pods_that_do_not_report_waits_are_not_known_to_have_none() -> None:
    model = FleetModel(spec())
    model.waiting_share = None
    model.run(10)
    status, message = condition(model.last, "CPUContended")
    assert status is None
    assert "schedstat" in message
