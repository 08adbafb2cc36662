"""The fleet model, checked against closed-form results for queues."""

import math

import numpy as np
import pytest

from aiapi_operator.simulate import counters, loops
from aiapi_operator.simulate.counters import Counters, Outcome, RequestBatch
from aiapi_operator.simulate.faults import Fault, FaultError, FaultKind, Faults, parse_fault
from aiapi_operator.simulate.fleet import FleetModel
from aiapi_operator.simulate.requests import Requests, Workload
from aiapi_operator.simulate.scenario import UpstreamModelSpec
from aiapi_operator.simulate.snapshot import FleetSnapshot
from aiapi_operator.simulate.upstream import UpstreamModel
from aiapi_operator.sizing.state import Size
from aiapi_runtime.telemetry.layout import BOUNDS as SERVICE_BOUNDS


def floats(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def test_a_loop_processes_requests_in_order() -> None:
    free = floats(0.0, 0.5)
    work = loops.serve(
        floats(0.0, 0.1, 0.2, 2.0), floats(0.3, 0.3, 0.3, 0.3), np.array([0, 0, 1, 0]), free
    )
    assert work.completion_times() == pytest.approx([0.3, 0.6, 0.8, 2.3])
    assert work.free_at(free) == pytest.approx([2.3, 0.8])
    assert free.tolist() == [0.0, 0.5]


def test_a_new_arrival_waits_for_the_remaining_work_of_its_loop() -> None:
    free = floats(0.0, 0.5, 9.0)
    work = loops.serve(floats(0.0, 0.1, 0.2), floats(0.3, 0.3, 0.3), np.array([0, 0, 1]), free)
    at = floats(0.05, 0.1, 0.5, 0.7, 0.1, 0.3, 1.0)
    loop_ids = np.array([0, 0, 0, 0, 1, 1, 2])
    assert work.waits(at, loop_ids, free) == pytest.approx([0.25, 0.5, 0.1, 0.0, 0.4, 0.5, 8.0])


def test_many_loops_match_independent_single_queues() -> None:
    rng = np.random.default_rng(3)
    at, cost = np.sort(rng.uniform(0, 50, 3000)), rng.exponential(0.05, 3000)
    loop_id, free = rng.integers(0, 5, 3000), rng.uniform(0, 1, 5)
    expected, until = [], free.copy()
    for come, work, which in zip(at, cost, loop_id, strict=True):
        until[which] = max(come, until[which]) + work
        expected.append(until[which])
    done = loops.serve(at, cost, loop_id, free)
    assert done.completion_times() == pytest.approx(expected)
    assert done.free_at(free) == pytest.approx(until)


def test_the_time_in_a_random_queue_matches_theory() -> None:
    rng = np.random.default_rng(5)
    size, cost, rho = 400_000, 0.02, 0.7
    at = np.cumsum(rng.exponential(cost / rho, size))
    only, free = np.zeros(size, int), floats(0.0)
    work = loops.serve(at, rng.exponential(cost, size), only, free)
    ends = work.completion_times()
    assert (ends - at).mean() == pytest.approx(cost / (1 - rho), rel=0.03)
    p95 = np.percentile(ends - at, 95)
    assert p95 == pytest.approx(cost * math.log(20) / (1 - rho), rel=0.04)
    # A request that returns at a random moment waits as long as a new arrival.
    again = np.sort(rng.uniform(0, at[-1], size))
    assert work.waits(again, only, free).mean() == pytest.approx(cost * rho / (1 - rho), rel=0.05)


def test_an_upstream_with_a_limit_queues_and_faults_affect_calls_within_them() -> None:
    limited = UpstreamModel(UpstreamModelSpec(concurrency=1), Faults())
    ends, _ = limited.call(floats(0.1, 0.0), floats(1.0, 1.0))
    assert ends == pytest.approx([2.0, 1.0])
    slow = UpstreamModel(UpstreamModelSpec(), Faults((parse_fault("upstream-slow@10+5"),)))
    ends, failed = slow.call(floats(9.0, 10.0, 15.0), floats(1.0, 1.0, 1.0))
    assert ends == pytest.approx([10.0, 13.0, 16.0])
    assert not failed.any()
    down = UpstreamModel(UpstreamModelSpec(), Faults((parse_fault("upstream-outage@10+5"),)))
    assert down.call(floats(9.0, 10.0), floats(1.0, 1.0))[1].tolist() == [0, 1]


def test_faults_parse_or_raise_a_useful_error() -> None:
    assert parse_fault("metrics-gone@60+300") == Fault(
        kind=FaultKind.METRICS_GONE, start=60, end=360
    )
    assert parse_fault("slow-pods@0").end == math.inf
    for text in ("metrics-gone", "flood@1+2", "slow-pods@-1"):
        with pytest.raises(FaultError, match="KIND@START"):
            parse_fault(text)


def test_counters_are_exact_between_two_events() -> None:
    pods = Counters(2)
    batch = RequestBatch.of(
        np.array([1, 1]),
        floats(10.0, 10.4),
        floats(10.2, 10.6),
        floats(10.9, 11.4),
        np.array([0, 2]),
    )
    pods.add(batch, 10.5)
    half = pods.read(10.5)
    assert half.in_flight.tolist() == [0, 2]
    assert half.in_flight_seconds[1] == pytest.approx(0.5 + 0.1)
    assert half.upstream_seconds[1] == pytest.approx(0.3)
    done = pods.read(12.0)
    assert done.in_flight_seconds[1] == pytest.approx(0.9 + 1.0)
    assert done.upstream_seconds[1] == pytest.approx(0.7 + 0.8)
    assert done.outcomes[1].tolist() == [1, 0, 1, 0]
    assert done.latencies[1].sum() == 1
    pods.reset(1)
    assert pods.read(13.0).in_flight_seconds[1] == 0
    assert pods.read(13.0).all_in_flight_seconds == pytest.approx(1.9)


def test_the_buckets_match_the_runtimes() -> None:
    assert counters.BOUNDS == SERVICE_BOUNDS


def drive(fleet: FleetModel, load: Workload, seconds: int) -> None:
    """Serve second by second."""
    now = 0.0
    for requests in load.minutes():
        while now < min(seconds, (now // 60 + 1) * 60):
            part: Requests = requests.between(now, now + 1)
            fleet.serve(part, now, now + 1)
            now += 1
            fleet.advance(now)
            if now % 60 == 0:
                break


def test_samples_match_the_work_of_the_pods(make_load) -> None:
    load = make_load((120, 60))
    fleet = FleetModel(load, Size(workers=2, replicas=2), worker_cpu=0.5)
    drive(fleet, load, 120)
    seen = FleetSnapshot(fleet, 120.0).scrape()
    completed = sum(pod.succeeded + pod.cancelled + pod.in_flight for pod in seen.pods)
    assert completed == load.trace.requests
    loop = sum(pod.loop_seconds for pod in seen.pods)
    workers = sum(pod.worker_seconds for pod in seen.pods)
    assert workers == pytest.approx(2 * 2 * 120)
    # 60/s x 20 ms, plus 0.2 % of four workers.
    assert loop == pytest.approx(120 * (60 * 0.02 + 4 * 0.002), rel=0.05)
    in_flight = sum(pod.in_flight_seconds for pod in seen.pods) / 120
    latency = sum(pod.latency.sum for pod in seen.pods) / sum(pod.succeeded for pod in seen.pods)
    assert in_flight == pytest.approx(60 * latency, rel=0.05)


def test_no_pod_has_a_sample_while_metrics_are_gone(make_load) -> None:
    load = make_load((60, 20))
    fleet = FleetModel(load, Size(workers=1, replicas=2), worker_cpu=0.5)
    assert all(
        pod.ready and not hasattr(pod, "time")
        for pod in FleetSnapshot(fleet, 1, metrics_gone=True).scrape().pods
    )


def test_new_capacity_has_a_start_time_and_is_billed_from_creation(make_load) -> None:
    load = make_load((60, 20))
    fleet = FleetModel(load, Size(workers=1, replicas=2), worker_cpu=0.5)
    fleet.scale_to(Size(workers=3, replicas=3), 0.0)
    assert fleet.next_change() == pytest.approx(1.0)
    fleet.advance(1.0)
    assert fleet.ready_workers == 6
    assert len(fleet.ready) == 2
    ready_at = fleet.next_change()
    assert 0.8 * 8 <= ready_at <= 1.2 * 8
    fleet.serve(next(load.minutes()).between(0, 1), 0, 1)
    assert fleet.core_seconds == pytest.approx(3 * (0.1 + 3 * 0.5))
    fleet.advance(ready_at)
    assert fleet.ready_workers == 9


def test_removing_workers_is_immediate_and_loses_no_request(make_load) -> None:
    load = make_load((60, 60))
    fleet = FleetModel(load, Size(workers=4, replicas=2), worker_cpu=0.5)
    drive(fleet, load, 30)
    fleet.scale_to(Size(workers=2, replicas=1), 30.0)
    assert fleet.ready_workers == 2
    served = fleet.serve(next(load.minutes()).between(30, 60), 30, 60)
    assert (served.outcome == Outcome.SUCCESS).all()
    reading = FleetSnapshot(fleet, 60.0).totals()
    assert reading.latencies.sum() <= load.trace.requests


def test_slots_of_removed_pods_are_reused(make_load) -> None:
    load = make_load((60, 20))
    fleet = FleetModel(load, Size(workers=1, replicas=1), worker_cpu=0.5)
    for moment in range(200):
        fleet.scale_to(Size(workers=1, replicas=1 + moment % 2), float(moment), instantly=True)
    assert len({pod.slot for pod in fleet.pods}) == len(fleet.pods)
    assert max(pod.slot for pod in fleet.pods) < 32
    fleet.scale_to(Size(workers=1, replicas=100), 200.0, instantly=True)
    assert len({pod.slot for pod in fleet.pods}) == 100
