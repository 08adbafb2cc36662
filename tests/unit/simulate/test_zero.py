"""Fleets without pods: requests that wait for one, and the rules of each autoscaler."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from aiapi_operator.cli import main
from aiapi_operator.simulate.compare import seconds_to_zero, simulation, with_minimum
from aiapi_operator.simulate.counters import Outcome
from aiapi_operator.simulate.faults import Faults, parse_fault
from aiapi_operator.simulate.ground_truth import GroundTruth
from aiapi_operator.simulate.hold import ACTIVATOR, HANDOVER, Front, HeldRequests
from aiapi_operator.simulate.measure import RunResult
from aiapi_operator.simulate.policies import catalogue
from aiapi_operator.simulate.policies.policy import PolicyDecision
from aiapi_operator.simulate.policies.sleeping import GRACE
from aiapi_operator.simulate.requests import Requests, Workload
from aiapi_operator.simulate.run import Simulation
from aiapi_operator.simulate.scenario import Scenario, ServiceModel
from aiapi_operator.simulate.snapshot import FleetSnapshot
from aiapi_operator.simulate.traces import Trace
from aiapi_operator.sizing.inputs import Bounds
from aiapi_operator.sizing.learners.usage import Usage
from aiapi_operator.sizing.spec import sizing_spec

POD_START = (0.8 * 8 + HANDOVER, 1.2 * 8 + HANDOVER)


def truth(load: Workload, **changes: object) -> GroundTruth:
    spec = sizing_spec(Scenario().spec)
    return GroundTruth(load, replace(spec, replicas=Bounds(min=1, max=20), **changes))


def load_at(*times: float, seconds: int, service: dict | None = None) -> Workload:
    at = np.sort(np.array(times, dtype=np.float64))
    counts = np.bincount(at.astype(np.int64), minlength=seconds).astype(np.float64)
    trace = Trace(name="requests", counts=counts, timestamps=at)
    return Workload(trace=trace, service=ServiceModel.model_validate(service or {}), seed=3)


def run(name: str, load: Workload, after: float = 60.0) -> RunResult:
    return simulation(name, truth(load), pod_workers=1, to_zero_after=after).run()


def stops(result: RunResult) -> list[float]:
    return [change.at for change in result.changes if change.after.replicas == 0]


def starts(result: RunResult) -> list[float]:
    return [change.at for change in result.changes if change.before.replicas == 0]


def requests(*at: float) -> Requests:
    times = np.array(at)
    zeros, whole = np.zeros(len(at)), np.zeros(len(at), dtype=np.int64)
    return Requests(times, zeros, zeros, whole, times, whole)


def test_held_requests_are_bounded_in_number_and_time() -> None:
    held = HeldRequests(Front(most=2, seconds=20.0), deadline=10.0)
    refused = held.add(requests(1.0, 2.0, 3.0))
    assert refused is not None
    assert (refused.requests.at.tolist(), refused.outcome.tolist()) == ([3.0], [Outcome.SHED])
    assert held.expire(10.9) is None
    gone = held.expire(11.0)
    assert gone is not None
    assert (gone.ended_at.tolist(), gone.outcome.tolist()) == ([11.0], [Outcome.CANCELLED])
    assert held.in_flight_seconds(11.5) == 10.0 + 9.5
    released = held.release(11.5)
    assert released is not None
    assert released.at.tolist() == [2.0]
    assert (len(held), held.in_flight_seconds(50.0)) == (0, 19.5)


def test_the_activator_gives_up_before_a_patient_client_does() -> None:
    held = HeldRequests(Front(seconds=5.0), deadline=10.0)
    held.add(requests(1.0))
    gone = held.expire(6.0)
    assert gone is not None
    assert (gone.ended_at.tolist(), gone.outcome.tolist()) == ([6.0], [Outcome.SERVER_ERROR])


def test_a_fleet_stops_after_its_time_and_the_grace_period_and_the_next_request_starts_it() -> None:
    result = run("aiapi", load_at(10.0, 400.5, seconds=500))
    (stop,) = stops(result)
    assert 10 + 60 + GRACE <= stop <= 10 + 60 + GRACE + 6
    assert starts(result) == [pytest.approx(400.5)]
    cold = result.cold_starts
    assert cold is not None
    assert (cold.starts, cold.requests, result.failed, result.shed) == (1, 1, 0, 0)
    assert POD_START[0] < cold.longest < POD_START[1] + 2
    assert cold.asleep_seconds == pytest.approx(400.5 - stop, abs=0.01)
    assert result.pod_hours * 3600 == pytest.approx(500 - cold.asleep_seconds, abs=3)


def test_a_fleet_that_was_woken_waits_longer() -> None:
    result = run("aiapi", load_at(10.0, 400.0, 800.0, seconds=1300))
    (_, second, third) = stops(result)
    assert 400 + 60 + GRACE <= second <= 400 + 8 + 60 + GRACE + 14
    assert 800 + 120 + GRACE <= third <= 800 + 8 + 120 + GRACE + 14


def test_a_request_in_the_grace_period_keeps_the_fleet() -> None:
    result = run("aiapi", load_at(10.0, 85.0, 100.0, seconds=150))
    assert not stops(result)


def test_unknown_is_never_idle() -> None:
    load = load_at(10.0, seconds=600)
    load = replace(load, faults=Faults((parse_fault("metrics-gone@0+600"),)))
    assert not stops(run("aiapi", load))


def test_more_held_requests_than_one_pod_takes_start_more_pods() -> None:
    first = [float(at) for at in np.arange(0, 60, 0.02)]
    together = [300.0 + at / 1000 for at in range(900)]
    load = load_at(*first, *together, seconds=400)
    result = run("aiapi", load, after=30.0)
    woken = [change for change in result.changes if 300 <= change.at < 306]
    assert max(change.after.replicas for change in woken) > 1


def test_a_request_is_lost_only_at_its_own_deadline() -> None:
    service = {"pods": {"start": "30s"}, "clients": {"retries": {"most": 0}}}
    result = run("aiapi", load_at(10.0, 400.0, seconds=600, service=service))
    cold = result.cold_starts
    assert cold is not None
    assert (result.failed, cold.late, cold.longest) == (1, 1, pytest.approx(10.0))


def test_pods_do_not_see_the_time_before_they_were_ready() -> None:
    """Otherwise each wake-up would look like a missed objective, and add workers."""
    result = run("aiapi", load_at(10.0, *(400.0 + at / 2 for at in range(40)), seconds=600))
    assert result.max_workers == 1


def test_requests_that_queue_behind_the_held_ones_met_the_cold_start() -> None:
    service = {"loop": {"mean": "20ms", "variation": 0.05}}
    times = [400.0 + at / 10 for at in range(600)]
    result = run("aiapi", load_at(10.0, *times, seconds=600, service=service))
    cold = result.cold_starts
    assert cold is not None
    held = (POD_START[0] * 10, POD_START[1] * 10)
    assert 1.15 * held[0] < cold.requests < 1.45 * held[1]
    assert cold.others_windows == 1.0
    assert sum(minute.requests for minute in result.minutes) == 601


@pytest.mark.parametrize("name", catalogue.ASLEEP)
def test_every_policy_that_can_sleep_does_and_answers_or_counts_each_request(name: str) -> None:
    times = [10.0, *(1200.0 + at / 4 for at in range(120)), *(3000.0 + at for at in range(60))]
    load = load_at(*times, seconds=3600)
    result = run(name, load)
    assert stops(result)
    assert result.requests == len(times)
    if name == "hpa-concurrency":
        assert result.failed > 0
    else:
        assert (result.failed, result.shed) == (0, 0)


def test_kpa_stops_after_the_stable_window_and_the_grace_period() -> None:
    (stop,) = stops(run("kpa", load_at(10.0, seconds=300)))
    assert 10 + 60 + 30 <= stop <= 10 + 60 + 30 + 6


def test_keda_stops_after_its_cooldown_by_polls() -> None:
    (stop,) = stops(run("keda", load_at(100.0, seconds=800)))
    assert 100 + 300 <= stop <= 100 + 60 + 30 + 300 + 30


@pytest.mark.parametrize("name", ["kpa", "keda", "oracle"])
def test_others_start_at_the_first_request(name: str) -> None:
    result = run(name, load_at(10.0, 900.25, seconds=1000))
    first = starts(result)[-1]
    assert first == pytest.approx(900.25) if name != "oracle" else first <= 900.25


def test_hpa_starts_at_its_next_sync_and_a_service_holds_nothing() -> None:
    service = {"clients": {"retries": {"most": 0}}}
    load = load_at(10.0, *(901.0 + at for at in range(60)), seconds=1000, service=service)
    result = run("hpa-concurrency", load)
    (start,) = starts(result)
    assert start % 15 == 0
    assert result.failed >= POD_START[0] - 1


@pytest.mark.parametrize("name", sorted(set(catalogue.NAMES) - set(catalogue.ASLEEP)))
def test_the_others_keep_a_pod(name: str) -> None:
    found = truth(load_at(10.0, seconds=120))
    assert catalogue.front(name, found) is None
    result = simulation(name, found, pod_workers=1, to_zero_after=60.0).run()
    assert not stops(result)
    assert result.cold_starts is None


def test_time_asleep_is_time_without_pods_in_the_usage() -> None:
    found = truth(load_at(10.0, 1500.0, seconds=1700))
    policy = catalogue.build("aiapi", found, pod_workers=1, to_zero_after=60.0)
    result = Simulation(found.load, found.spec, policy, ACTIVATOR).run()
    usage = policy._awake.state.memory[Usage]
    assert usage.seconds == pytest.approx(1700, abs=5)
    assert usage.pod_seconds == pytest.approx(3600 * result.pod_hours, abs=15)


class Watched:
    """A policy whose decisions to stop are checked against the fleet."""

    def __init__(self, policy: object) -> None:
        self._policy = policy
        self.name, self.interval, self.instant = policy.name, policy.interval, policy.instant
        self.initial_size = policy.initial_size

    def decide(self, snapshot: FleetSnapshot) -> PolicyDecision:
        decision = self._policy.decide(snapshot)
        if decision.size.replicas == 0 and snapshot.size.replicas > 0:
            assert snapshot.idle >= 30.0 + GRACE
            assert snapshot.held == 0
            assert not snapshot._fleet._in_flight.pending()
        return decision


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(
    times=st.lists(st.floats(0.0, 899.0), min_size=1, max_size=60, unique=True),
    upstream=st.sampled_from(["50ms", "2s", "9s"]),
    start=st.sampled_from(["1s", "8s", "40s"]),
    name=st.sampled_from(["aiapi", "kpa", "keda", "hpa-concurrency"]),
)
def test_no_request_is_lost_and_ours_never_sleeps_with_one_in_flight(
    times: list[float], upstream: str, start: str, name: str
) -> None:
    service = {"upstream": {"median": upstream, "p95": "9500ms"}, "pods": {"start": start}}
    found = truth(load_at(*times, seconds=900, service=service))
    policy = catalogue.build(name, found, pod_workers=1, to_zero_after=30.0)
    watched = Watched(policy) if name == "aiapi" else policy
    result = Simulation(found.load, found.spec, watched, catalogue.front(name, found)).run()
    assert result.requests == len(times)
    cold = result.cold_starts
    assert cold is not None
    assert 0 <= cold.late <= cold.requests <= len(times)
    assert 0 <= cold.asleep_seconds <= 900
    assert result.core_hours >= 0
    assert result.pod_hours * 3600 >= 900 - cold.asleep_seconds - 1e-6


def test_the_command_shows_cold_starts_apart(tmp_path: Path) -> None:
    trace = tmp_path / "day.csv"
    trace.write_text("arrival_s\n" + "\n".join(map(str, (0, 400, 401, 402, 900))) + "\n")
    words = ["simulate", "--trace", str(trace), "--policy", "aiapi,static", "--min-replicas", "0"]
    files = ["--json", str(tmp_path / "a.json"), "--out", str(tmp_path)]
    result = CliRunner().invoke(main, [*words, "--to-zero-after", "30s", *files])
    assert result.exit_code == 0, result.output
    assert "Minimum of 0 pods: aiapi stops after 30s without a request" in result.output
    assert "requests that met one" in result.output
    document = json.loads((tmp_path / "a.json").read_text())
    assert document["to_zero_after_s"] == 30.0
    assert document["policies"]["aiapi"]["cold_starts"]["requests"] >= 3
    assert "cold_starts" not in document["policies"]["static"]
    assert "<h2>Cold starts</h2>" in (tmp_path / "report.html").read_text()
    plain = CliRunner().invoke(main, words[:-2])
    assert "cold" not in plain.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--to-zero-after", "5m"], "--to-zero-after needs a minimum of 0 pods"),
        (["--min-replicas", "0", "--to-zero-after", "5s"], "must be a duration from 30s to 24h"),
        (["--min-replicas", "30"], "replicas.min must not exceed replicas.max"),
    ],
)
def test_options_that_do_not_fit_are_rejected(words: list[str], message: str, tmp_path) -> None:
    trace = tmp_path / "day.csv"
    trace.write_text("arrival_s\n0\n")
    result = CliRunner().invoke(main, ["simulate", "--trace", str(trace), *words])
    assert result.exit_code == 2
    assert message in " ".join(result.output.replace("│", " ").split())


def test_a_spec_with_a_minimum_of_0_sleeps_without_an_option() -> None:
    spec = with_minimum(Scenario().spec, 0, "2m")
    assert seconds_to_zero(spec) == 120.0
    assert seconds_to_zero(Scenario().spec) is None
    assert spec.replicas.max == Scenario().spec.replicas.max
