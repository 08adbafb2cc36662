"""Metrics without data are absent, series of deleted AIApis are removed, all are documented."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from engine_support.samples import sample

from aiapi_operator.api import AIApiSpec
from aiapi_operator.engine.ports import ObservedFleet
from aiapi_operator.metrics.operator_metrics import OperatorMetrics
from aiapi_operator.sizing.decide import decide
from aiapi_operator.sizing.decision import Condition
from aiapi_operator.sizing.inputs import (
    Fleet,
    Histogram,
    LatencyObjective,
    ObjectiveKind,
    SizingSpec,
)
from aiapi_operator.sizing.learners.usage import Usage
from aiapi_operator.sizing.savings import savings
from aiapi_operator.sizing.spec import sizing_spec
from aiapi_operator.sizing.state import Latch, Size, State

KEY = ("shop", "a")
LABELS = 'name="a",namespace="shop"'
WHOLE = f'{LABELS},objective="Latency"'
FIRST = f'{LABELS},objective="FirstByte"'
DOCS = Path(__file__).parents[3] / "docs" / "metrics.md"
SPEC = sizing_spec(AIApiSpec())


def text_of(metrics: OperatorMetrics) -> str:
    return metrics.text().decode()


SPEND = Usage(
    seconds=3600.0, worker_seconds=7200.0, pod_seconds=7200.0, peak=Size(workers=2, replicas=2)
)


def record(metrics: OperatorMetrics, *, requests: int = 0, spend: Usage = SPEND) -> None:
    latency = Histogram(bounds=(0.4, 1.2), counts=(requests, requests, 0), sum=1.0)
    pods = tuple(
        sample(name, time=5.0, latency=latency, succeeded=2 * requests) for name in ("a-1", "a-2")
    )
    decision = decide(SPEC, Fleet(replicas=2, pods=pods), State(), 5.0)
    known = savings(SPEC, State(memory={Usage: spend}))
    fleet = ObservedFleet(replicas=2, ready=2, workers=2, silent=1, savings=known, samples=pods)
    metrics.record_decision(KEY, SPEC, fleet, decision)
    metrics.record_tick(KEY, seconds=0.1, lag=0.0, outcome="ok", now=7.0)


@pytest.fixture
def metrics() -> OperatorMetrics:
    created = OperatorMetrics(version="1.2.3")
    record(created)
    created.record_activation(KEY, "Asleep")
    return created


def test_only_an_aiapi_that_may_go_to_zero_has_a_phase(metrics: OperatorMetrics) -> None:
    line = 'aiapi_operator_activation_phase{{{},phase="{}"}} {}'
    for phase, value in (("Serving", 0.0), ("Leaving", 0.0), ("Asleep", 1.0), ("Waking", 0.0)):
        assert line.format(LABELS, phase, value) in text_of(metrics)
    metrics.record_activation(KEY, None)
    assert "aiapi_operator_activation_phase{" not in text_of(metrics)
    metrics.record_activation(KEY, "Waking")
    assert line.format(LABELS, "Asleep", 0.0) in text_of(metrics)
    metrics.forget(KEY)
    assert "aiapi_operator_activation_phase{" not in text_of(metrics)


def test_a_decision_sets_the_gauges(metrics: OperatorMetrics) -> None:
    text = text_of(metrics)
    for line in (
        f"aiapi_operator_objective_seconds{{{WHOLE}}} 0.8",
        f"aiapi_operator_objective_ratio{{{WHOLE}}} 0.95",
        f"aiapi_operator_wanted_replicas{{{LABELS}}} 2.0",
        f"aiapi_operator_max_workers{{{LABELS}}} 160.0",
        f"aiapi_operator_scrape_failures_total{{{LABELS}}} 1.0",
        f'aiapi_operator_ticks_total{{{LABELS},outcome="ok"}} 1.0',
        f"aiapi_operator_last_tick_timestamp_seconds{{{LABELS}}} 7.0",
        'aiapi_operator_build_info{version="1.2.3"} 1.0',
    ):
        assert line in text


def test_savings_are_exported_in_cores_and_money(metrics: OperatorMetrics) -> None:
    # An average of 2 workers ran; the baseline has 4 workers with half a core each.
    assert f"aiapi_operator_savings_cores{{{LABELS}}} 1.0" in text_of(metrics)
    assert f'aiapi_operator_cost_per_hour{{currency="USD",{LABELS}}}' in text_of(metrics)


def test_a_saving_is_absent_while_the_objective_is_missed(metrics: OperatorMetrics) -> None:
    record(metrics, spend=replace(SPEND, missing=Latch(on=True)))
    for name in ("savings_ratio", "savings_cores"):
        assert f"aiapi_operator_{name}{{" not in text_of(metrics)
    assert f'aiapi_operator_cost_per_hour{{currency="USD",{LABELS}}}' in text_of(metrics)


def test_failing_requests_are_exported_although_no_latency_is_measured() -> None:
    """Every response is a 500."""
    metrics, state = OperatorMetrics(), State()
    for at in (2.0, 4.0, 6.0):
        pods = (sample("a-1", time=at, server_errors=round(50 * at)),)
        decision = decide(SPEC, Fleet(replicas=1, pods=pods), state, at)
        state = decision.state
        fleet = ObservedFleet(replicas=1, ready=1, workers=1, silent=0, savings=None, samples=pods)
        metrics.record_decision(KEY, SPEC, fleet, decision)
        metrics.record_conditions(KEY, decision.conditions)
    for line in (
        f"aiapi_operator_failing_ratio{{{LABELS}}} 1.0",
        f'aiapi_operator_failed_requests_total{{kind="server_error",{LABELS}}} 200.0',
        f"aiapi_operator_measured_requests_total{{{WHOLE}}} 200.0",
        f"aiapi_operator_within_objective_requests_total{{{WHOLE}}} 0.0",
        f'aiapi_operator_condition{{{LABELS},type="RequestsFailing"}} 1.0',
    ):
        assert line in text_of(metrics), line


def test_each_objective_has_its_series_while_it_is_in_the_spec() -> None:
    """Streams of 20 s that begin within 0.4 s."""
    metrics, state = OperatorMetrics(), State()
    first = LatencyObjective(percentile=99, threshold=0.8, kind=ObjectiveKind.FIRST_BYTE)

    def tick(at: float, spec: SizingSpec) -> str:
        nonlocal state
        ended, begun = round(20 * at), round(50 * at)
        bounds = (0.4, 1.2)
        pods = (
            sample(
                "a-1",
                time=at,
                succeeded=ended,
                latency=Histogram(bounds=bounds, counts=(0, 0, ended), sum=1.0),
                first_byte=Histogram(bounds=bounds, counts=(begun, 0, 0), sum=1.0),
            ),
        )
        decision = decide(spec, Fleet(replicas=1, pods=pods), state, at)
        state = decision.state
        fleet = ObservedFleet(replicas=1, ready=1, workers=1, silent=0, savings=None, samples=pods)
        metrics.record_decision(KEY, spec, fleet, decision)
        return text_of(metrics)

    both = replace(SPEC, other_objectives=(first,))
    tick(2.0, both)
    text = tick(4.0, both)
    for line in (
        f"aiapi_operator_objective_seconds{{{FIRST}}} 0.8",
        f"aiapi_operator_objective_ratio{{{FIRST}}} 0.99",
        f"aiapi_operator_measured_requests_total{{{FIRST}}} 100.0",
        f"aiapi_operator_within_objective_requests_total{{{FIRST}}} 100.0",
        f"aiapi_operator_measured_requests_total{{{WHOLE}}} 40.0",
        f"aiapi_operator_within_objective_requests_total{{{WHOLE}}} 0.0",
        f'aiapi_operator_requests_total{{{LABELS},outcome="success"}} 40.0',
    ):
        assert line in text, line
    assert f"aiapi_operator_latency_seconds{{{FIRST}}} 0.39" in text
    text = tick(6.0, replace(SPEC, objective=first))
    assert f"aiapi_operator_latency_seconds{{{FIRST}}} 0.39" in text
    for name in ("objective_seconds", "objective_ratio", "latency_seconds"):
        assert f"aiapi_operator_{name}{{{WHOLE}}}" not in text
    assert f"aiapi_operator_within_objective_requests_total{{{FIRST}}} 200.0" in text
    assert f'aiapi_operator_requests_total{{{LABELS},outcome="success"}} 80.0' in text
    metrics.forget(KEY)
    assert 'name="a"' not in text_of(metrics)


def test_exactly_one_constraint_is_binding(metrics: OperatorMetrics) -> None:
    values = re.findall(r"aiapi_operator_binding\{.*\} ([01])\.0", text_of(metrics))
    assert values.count("1") == 1
    assert len(values) > 1


def test_requests_within_the_objective_are_counted_from_differences(
    metrics: OperatorMetrics,
) -> None:
    record(metrics, requests=10)
    # Two pods; all of 10 are below 0.4 s, and half of the 10 between 0.4 and 1.2 s below 0.8 s.
    assert f"aiapi_operator_measured_requests_total{{{WHOLE}}} 40.0" in text_of(metrics)
    within = f"aiapi_operator_within_objective_requests_total{{{WHOLE}}} "
    assert float(text_of(metrics).partition(within)[2].split()[0]) == pytest.approx(30.0)
    assert f'aiapi_operator_requests_total{{{LABELS},outcome="success"}} 40.0' in text_of(metrics)


def test_unknown_values_are_absent(metrics: OperatorMetrics) -> None:
    assert "aiapi_operator_latency_seconds{" not in text_of(metrics)
    known = Condition(type="DependencyBound", status=True, reason="R", message="m")
    metrics.record_conditions(KEY, [known])
    line = f'aiapi_operator_condition{{{LABELS},type="DependencyBound"}}'
    assert f"{line} 1.0" in text_of(metrics)
    unknown = Condition(type="DependencyBound", status=None, reason="R", message="m")
    metrics.record_conditions(KEY, [unknown])
    assert line not in text_of(metrics)


def test_the_series_of_a_deleted_aiapi_are_removed(metrics: OperatorMetrics) -> None:
    metrics.forget(KEY)
    assert 'namespace="shop"' not in text_of(metrics)


def test_a_standby_exports_no_aiapi_series(metrics: OperatorMetrics) -> None:
    metrics.set_leader(False)
    assert 'namespace="shop"' not in text_of(metrics)
    assert "aiapi_operator_leader 0.0" in text_of(metrics)


def families(text: str) -> dict[str, str]:
    """The type of each metric family, by name."""
    pairs = re.findall(r"^# TYPE (\S+) (\S+)$", text, flags=re.MULTILINE)
    return {name: kind for name, kind in pairs if name.startswith("aiapi_")}


def test_the_documentation_lists_all_metrics_and_no_others(metrics: OperatorMetrics) -> None:
    row = r"^\| `(aiapi_operator_\w+)` \| (\w+) \|(.*?)\| (.+?) \| `(.+)` \|$"
    rows = re.findall(row, DOCS.read_text(), re.MULTILINE)
    assert {name: kind for name, kind, *_ in rows} == families(text_of(metrics))
    for name, _, _, _, example in rows:
        assert name.removesuffix("_info") in example


def test_documentation_and_help_texts_agree(metrics: OperatorMetrics) -> None:
    listed = dict(re.findall(r"^# HELP (aiapi_\w+) (.+)$", text_of(metrics), re.MULTILINE))
    for name, meaning in re.findall(
        r"^\| `(aiapi_operator_\w+)` \| \w+ \|.*?\| (.+?) \| `", DOCS.read_text(), re.MULTILINE
    ):
        words = listed[name].rstrip(".")
        assert meaning.replace("`", "").startswith(words), f"{name}: {words!r} is not {meaning!r}"


def test_promtool_accepts_the_metrics(metrics: OperatorMetrics) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not on the PATH")
    metrics.record_scrape("ok", 0.1)
    metrics.record_api_request("GET", "200", 0.1)
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=metrics.text(), capture_output=True, check=False
    )
    problems = (checked.stdout + checked.stderr).decode().splitlines()
    assert [line for line in problems if "process_" not in line] == []
