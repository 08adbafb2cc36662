"""Whole runs: every policy, the measures, faults, and the command line."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from aiapi_operator.cli import main
from aiapi_operator.simulate import page
from aiapi_operator.simulate.compare import compare, sizing_spec_for
from aiapi_operator.simulate.counters import Outcome
from aiapi_operator.simulate.faults import Faults, parse_fault
from aiapi_operator.simulate.in_flight import ServedRequests
from aiapi_operator.simulate.measure import (
    RunRecorder,
    SizeChange,
    attainment_requests,
    attainment_windows,
    direction_changes,
)
from aiapi_operator.simulate.policies.catalogue import NAMES, UnknownPolicyError, build
from aiapi_operator.simulate.requests import Requests
from aiapi_operator.simulate.scenario import Scenario, ScenarioError, read_scenario
from aiapi_operator.sizing.inputs import LatencyObjective
from aiapi_operator.sizing.state import Size


@pytest.mark.slow
def test_every_policy_serves_all_requests_and_the_oracle_is_the_cheapest(make_load, spec) -> None:
    load = make_load((240, 40), (240, 80), (240, 40))
    comparison = compare(load, spec, NAMES, pod_workers=1)
    by_name = {result.policy: result for result in comparison.results}
    assert tuple(by_name) == NAMES
    for result in by_name.values():
        assert result.requests == load.trace.requests
        assert len(result.minutes) == 12
        assert 0 <= result.attainment_windows <= 1
        assert result.p50 <= result.p95 <= result.p99
    assert by_name["static"].attainment_windows == 1
    assert not by_name["static"].changes
    assert by_name["oracle"].attainment_windows == 1
    assert by_name["aiapi"].attainment_requests > 0.95
    assert comparison.vs_oracle(by_name["oracle"]) == 1
    assert min(map(comparison.vs_oracle, (by_name["static"], by_name["aiapi"]))) > 1


@pytest.mark.slow
def test_a_seed_makes_a_run_reproducible(make_load, spec) -> None:
    def numbers(seed: int) -> tuple[float, float, float]:
        result = compare(make_load((300, 50), seed=seed), spec, ["aiapi"], pod_workers=1).results[0]
        return result.core_hours, result.p99, result.attainment_requests

    assert numbers(1) == numbers(1) != numbers(2)


@pytest.mark.slow
def test_a_slower_upstream_adds_no_worker_but_makes_kpa_grow(make_load, spec) -> None:
    calm = make_load((900, 100))
    slow = make_load((900, 100), faults=Faults((parse_fault("upstream-slow@300+300"),)))
    names = ("aiapi", "kpa")
    before, after = (compare(load, spec, names, pod_workers=1).results for load in (calm, slow))
    assert after[0].max_workers <= before[0].max_workers
    assert after[1].max_workers >= 2 * before[1].max_workers


@pytest.mark.slow
def test_the_old_pods_keep_their_workers_while_new_pods_have_no_connections(
    make_load, spec
) -> None:
    load = make_load((120, 40), (360, 160))
    result = compare(load, spec, ["aiapi"], pod_workers=1).results[0]
    assert any(change.after.replicas > change.before.replicas for change in result.changes)
    # The step is at 120 s; two minutes later latencies are normal again.
    assert all(minute.latency < 0.8 for minute in result.minutes[3:])


@pytest.mark.slow
def test_no_policy_scales_down_while_metrics_are_gone(make_load, spec) -> None:
    load = make_load((300, 150), (600, 20), faults=Faults((parse_fault("metrics-gone@290+300"),)))
    reactive = [name for name in NAMES if name not in ("static", "oracle")]
    for result in compare(load, spec, reactive, pod_workers=1).results:
        shrunk = [change for change in result.changes if 290 <= change.at < 590]
        assert not shrunk, result.policy


def served(*, first_at: float, latency: np.ndarray, outcome: np.ndarray) -> ServedRequests:
    size = len(latency)
    at, whole = np.full(size, first_at), np.zeros(size, dtype=np.int64)
    requests = Requests(at, np.zeros(size), np.zeros(size), whole, at, whole)
    return ServedRequests(requests, at + latency, outcome)


def test_windows_and_requests_are_counted_as_defined() -> None:
    objective = LatencyObjective(percentile=95, threshold=0.8)
    recorder = RunRecorder((objective,), max_request_seconds=30)
    latency = np.concatenate((np.full(188, 0.1), np.full(9, 0.9), np.full(3, 0.1)))
    outcome = np.concatenate((np.zeros(197, int), np.ones(2, int), np.full(1, Outcome.SHED)))
    recorder.add(served(first_at=1.0, latency=latency, outcome=outcome))
    for _ in range(3):
        recorder.close_minute(Size(workers=1, replicas=2))
    recorder.add(served(first_at=125.0, latency=np.full(200, 0.1), outcome=np.zeros(200, int)))
    minutes = recorder.minutes()
    assert attainment_windows(minutes, objective) == 0.5
    assert attainment_requests(minutes) == pytest.approx(388 / 400)
    assert minutes[1].latency is None
    assert [minutes[0].latency, minutes[2].latency] == pytest.approx([0.9, 0.1])
    assert (recorder.failed, recorder.shed) == (2, 1)
    assert recorder.percentile(50) == pytest.approx(0.1, rel=0.01)


@pytest.mark.slow
def test_the_page_has_the_reason_of_each_change_and_keeps_peaks(make_load, spec) -> None:
    load = make_load((120, 20), (120, 120))
    drawn = page.render(compare(load, spec, ["aiapi"], pod_workers=1))
    assert "workers needed: " in drawn
    assert "<title>0:02:0" in drawn
    assert "a&lt;b" in page.render(
        compare(
            replace(load, trace=replace(load.trace, name="a<b")), spec, ["static"], pod_workers=1
        )
    )


def test_reversals_are_counted_not_steps() -> None:
    totals = (8, 10, 12, 9, 9, 11)
    changes = tuple(
        SizeChange(
            at=0.0,
            before=Size(workers=1, replicas=before),
            after=Size(workers=1, replicas=after),
            why="",
        )
        for before, after in pairwise(totals)
    )
    assert direction_changes(changes, 3600) == 2
    assert direction_changes((), 0) == 0


def test_scaling_a_trace_raises_the_default_maximum_of_replicas_only() -> None:
    assert sizing_spec_for(Scenario(), None, 200).replicas.max == 600
    own = Scenario.model_validate({"spec": {"replicas": {"min": 2, "max": 9}}})
    assert sizing_spec_for(own, None, 200).replicas.max == 9


def test_an_unknown_policy_error_lists_the_policies(make_load, make_truth) -> None:
    message = "'magic'; use any of: aiapi, aiapi-last-value, static"
    with pytest.raises(UnknownPolicyError, match=message):
        build("magic", make_truth(make_load((60, 5))), pod_workers=1)


def test_scenario_files_parse_or_raise_a_useful_error(tmp_path: Path) -> None:
    path = tmp_path / "service.yaml"
    path.write_text("service:\n  loop: {mean: 9ms}\nspec:\n  workers: {max: 4}\n")
    assert read_scenario(path).service.demand == pytest.approx(0.009)
    for text, message in (
        ("service: {loop: {mean: fast}}", "service.loop.mean"),
        ("service: {upstream: {median: 2s, p95: 1s}}", "must not be below"),
        ("services: {}", "services"),
        ("[", "not YAML"),
    ):
        path.write_text(text)
        with pytest.raises(ScenarioError, match=message):
            read_scenario(path)


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "trace.csv"
    path.write_text("requests_per_second\n" + "20\n" * 180)
    return path


@pytest.mark.slow
def test_the_command_prints_a_table_and_writes_json(trace: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "result.json"
    files = ["--json", str(out), "--out", str(tmp_path)]
    options = ["--policy", "aiapi,static", "--fault", "upstream-slow@60+30"]
    result = CliRunner().invoke(main, ["simulate", "--trace", str(trace), *options, *files])
    assert result.exit_code == 0, result.output
    assert "3,600 requests" in result.output
    assert "vs oracle" in result.output
    assert "Fault: upstream-slow from 60 s until 90 s." in result.output
    html = (tmp_path / "report.html").read_text()
    assert html.count("<svg") == 2 * 4
    assert "http" not in html
    assert "{{" not in html
    written = json.loads(out.read_text())
    assert set(written["policies"]) == {"aiapi", "static"}
    assert {
        "attainment_windows",
        "attainment_requests",
        "core_hours",
        "vs_oracle",
        "p50_s",
        "p95_s",
        "p99_s",
        "shed",
        "direction_changes_per_hour",
        "max_workers",
        "decide_ms",
    } <= set(written["policies"]["aiapi"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--policy", "magic"], "unknown policy magic"),
        (["--policy", ","], "unknown policy"),
        (["--objective", "fast"], "not an objective"),
        (["--objective", "p20=1s"], "between 50 and 99.9"),
        (["--objective", "p95=0s"], "above zero"),
        (["--fault", "flood@1"], "KIND@START"),
        (["--service", "missing.yaml"], "cannot be read"),
        (["--peak-workers", "0"], "0 is not in the range"),
    ],
)
def test_the_command_explains_invalid_options(
    trace: Path, arguments: list[str], message: str
) -> None:
    result = CliRunner().invoke(main, ["simulate", "--trace", str(trace), *arguments])
    assert result.exit_code != 0
    assert message in result.output
    assert "Traceback" not in result.output


def test_an_invalid_trace_exits_with_code_2_and_its_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("requests_per_second\n1\n-1\n")
    result = CliRunner().invoke(main, ["simulate", "--trace", str(path)])
    assert result.exit_code == 2
    assert "bad.csv line 3: requests_per_second is negative" in result.output


@pytest.mark.slow
def test_the_results_of_a_run_stay_the_same(make_load, spec) -> None:
    """The results of one run with an outage, to detect unintended changes of the model."""
    load = make_load((120, 40), (120, 120), faults=Faults((parse_fault("upstream-outage@150+30"),)))
    result = compare(load, spec, ["kpa"], pod_workers=2).results[0]
    counts = (result.requests, result.shed, result.failed, result.retries, result.max_workers)
    assert counts == (19283, 0, 2643, 9169, 40)
    assert (result.core_hours, result.p50, result.p99) == pytest.approx(
        (0.60867, 0.38085, 31.3326), rel=1e-4
    )
