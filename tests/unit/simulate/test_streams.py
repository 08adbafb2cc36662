"""Streamed responses in the simulator: sized by loop time, measured by their first byte."""

from dataclasses import replace

import numpy as np
import pytest

from aiapi_operator.simulate import admission
from aiapi_operator.simulate.admission import AdmissionWindow
from aiapi_operator.simulate.command import parse_objective
from aiapi_operator.simulate.compare import compare
from aiapi_operator.simulate.counters import BOUNDS, SUCCESS
from aiapi_operator.simulate.faults import Faults
from aiapi_operator.simulate.fleet import FleetModel
from aiapi_operator.simulate.ground_truth import GroundTruth
from aiapi_operator.simulate.in_flight import ServedRequests
from aiapi_operator.simulate.measure import RunRecorder, attainment_windows
from aiapi_operator.simulate.requests import Requests
from aiapi_operator.simulate.scenario import UpstreamModelSpec
from aiapi_operator.simulate.snapshot import FleetSnapshot
from aiapi_operator.simulate.upstream import UpstreamModel
from aiapi_operator.sizing.inputs import LatencyObjective, ObjectiveKind
from aiapi_operator.sizing.state import Size

SERVICE = {
    "loop": {"mean": "20ms"},
    "upstream": {"median": "130ms", "p95": "200ms"},
    "stream": {"mean": "20s"},
}
PIECES = {**SERVICE, "stream": {}}
FIRST = LatencyObjective(percentile=95, threshold=0.8, kind=ObjectiveKind.FIRST_BYTE)
WHOLE = LatencyObjective(percentile=95, threshold=0.8)


def test_streams_cost_what_responses_in_one_piece_cost(make_load, spec) -> None:
    """Answers of 20 s under a first-byte objective of 800 ms."""
    streams = make_load((300, 20), (1200, 100), service=SERVICE)
    pieces = make_load((300, 20), (1200, 100), service=PIECES)
    under = replace(spec, objective=FIRST)
    result = compare(streams, under, ("aiapi",), pod_workers=1).results[0]
    same = compare(pieces, spec, ("aiapi",), pod_workers=1).results[0]
    assert result.attainment_windows >= 0.95
    assert result.core_hours == pytest.approx(same.core_hours, rel=0.1)
    assert result.requests == streams.trace.requests
    assert result.p95 < 0.8
    infeasible = compare(streams, spec, ("aiapi",), pod_workers=1).results[0]
    assert infeasible.attainment_windows == 0


def test_the_oracle_knows_that_the_length_of_streams_does_not_matter(make_load, spec) -> None:
    streams, pieces = make_load((60, 20), service=SERVICE), make_load((60, 20), service=PIECES)
    under = replace(spec, objective=FIRST)
    assert GroundTruth(streams, under).utilization == GroundTruth(pieces, spec).utilization
    assert GroundTruth(streams, spec).utilization == 0.7, "infeasible"
    strict = replace(FIRST, threshold=0.25)
    both = replace(spec, objective=replace(WHOLE, threshold=300.0), other_objectives=(strict,))
    alone = GroundTruth(streams, replace(spec, objective=strict))
    assert GroundTruth(streams, both).utilization == alone.utilization < 0.9
    counts = np.full(60, 20.0)
    assert GroundTruth(streams, both).need_for_counts(counts) == alone.need_for_counts(counts)
    assert GroundTruth(streams, spec).worker_concurrency > 1000


def test_pods_count_first_bytes_when_they_are_sent(make_load) -> None:
    load = make_load((60, 20), service=SERVICE)
    fleet = FleetModel(load, Size(workers=1, replicas=2), worker_cpu=0.5)
    requests = next(iter(load.minutes()))
    served = [fleet.serve(requests.between(now, now + 1), now, now + 1) for now in range(10)]
    pods = FleetSnapshot(fleet, 10.0).scrape().pods
    begun = sum(sum(pod.first_byte.counts) for pod in pods)
    ended = sum(sum(pod.latency.counts) for pod in pods)
    arrived = len(requests.between(0, 10))
    assert 0.9 * arrived < begun <= arrived
    assert ended < 0.2 * begun
    assert sum(pod.in_flight for pod in pods) + ended == arrived
    assert pods[0].first_byte.sum / sum(pods[0].first_byte.counts) == pytest.approx(0.2, rel=0.4)
    totals = FleetSnapshot(fleet, 10.0).totals()
    assert (totals.first_bytes.sum(), totals.latencies.sum()) == (begun, ended)
    # Nearly all of the time is a wait for the upstream.
    assert pods[0].upstream_seconds > 0.9 * pods[0].in_flight_seconds
    first = served[0]
    assert (first.outcome == SUCCESS).all()
    assert (first.ended_at - first.began_at).mean() == pytest.approx(20, rel=0.5)


def test_without_streams_the_first_byte_is_the_end(make_load) -> None:
    load = make_load((60, 20), service=PIECES)
    fleet = FleetModel(load, Size(workers=1, replicas=2), worker_cpu=0.5)
    requests = next(iter(load.minutes()))
    served = fleet.serve(requests.between(0, 5), 0, 5)
    pod = FleetSnapshot(fleet, 5.0).scrape().pods[0]
    assert pod.first_byte == pod.latency
    assert pod.first_byte.bounds is BOUNDS
    assert served.began_at is served.ended_at


def test_a_window_must_meet_both_objectives() -> None:
    size = 100
    at, none = np.zeros(size), np.zeros(size, dtype=np.int64)
    requests = Requests(at, at, at, none, at, none)
    begins = np.where(np.arange(size) < 90, 0.1, 2.0)
    served = ServedRequests(requests, np.full(size, 5.0), none, begins)

    def met(*objectives: LatencyObjective) -> float:
        recorder = RunRecorder(objectives, max_request_seconds=30)
        recorder.add(served)
        recorder.close_minute(Size(workers=1, replicas=2))
        return attainment_windows(recorder.minutes(), objectives[0])

    whole = replace(WHOLE, threshold=6.0)
    assert met(whole) == 1
    assert met(FIRST) == 0
    assert met(replace(FIRST, percentile=90)) == 1
    assert met(whole, FIRST) == 0
    assert met(whole, replace(FIRST, percentile=90)) == 1
    assert met(replace(whole, threshold=4.0), replace(FIRST, percentile=90)) == 0


def test_a_stream_holds_its_place_at_a_worker_with_a_limit() -> None:
    at, empty = np.array([0.0, 1.0, 3.0]), (np.empty(0), np.empty(0, dtype=np.int64))
    window = AdmissionWindow(
        at=at,
        loop=np.full(3, 0.1),
        upstream=np.full(3, 0.2),
        loop_id=np.zeros(3, dtype=np.int64),
        departures=empty,
        awaiting_upstream=empty,
        free_at=np.zeros(1),
        end=10.0,
    )
    upstream = UpstreamModel(UpstreamModelSpec(), Faults())
    assert not admission.find_rejected(window, upstream, 1).any()
    streaming = replace(window, stream=np.full(3, 2.0))
    assert admission.find_rejected(streaming, upstream, 1).tolist() == [False, True, False]


def test_a_client_that_gave_up_before_the_first_byte_has_no_stream(make_load) -> None:
    service = {**SERVICE, "clients": {"deadline": "150ms", "retries": {"most": 0}}}
    load = make_load((60, 20), service=service)
    fleet = FleetModel(load, Size(workers=1, replicas=4), worker_cpu=0.5)
    served = fleet.serve(next(iter(load.minutes())).between(0, 5), 0, 5)
    gone = served.outcome != SUCCESS
    assert gone.any()
    assert (served.ended_at[gone] == served.began_at[gone]).all()
    assert served.ended_at[gone] - served.requests.at[gone] == pytest.approx(0.15)
    assert (served.ended_at[~gone] - served.requests.at[~gone] > 1.0).any()


def test_an_objective_for_the_first_byte_can_be_asked_for() -> None:
    assert parse_objective("firstByte:p95=800ms") == FIRST
    assert parse_objective("p95=800ms") == WHOLE


def test_another_objective_replaces_the_one_of_its_kind(spec) -> None:
    both = replace(spec, other_objectives=(FIRST,))
    other = replace(FIRST, threshold=2.0)
    assert both.with_objective(other).objectives == (spec.objective, other)
    assert spec.with_objective(other).objectives == (other,)
    whole = replace(WHOLE, threshold=9.0)
    assert both.with_objective(whole).objectives == (whole, FIRST)
