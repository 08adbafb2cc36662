"""The summary is computed from the requests and the recording."""

import json
from collections.abc import Callable
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from aiapi_demo.console_summary import print_summary
from aiapi_demo.recording import RunSample
from aiapi_demo.summary import DemoReport, as_json, integral

Make = Callable[..., DemoReport]


def test_worker_seconds_are_the_integral_of_the_workers_alive(
    make_sample: Callable[..., RunSample],
) -> None:
    samples = [make_sample(0.0, alive=2), make_sample(2.0, alive=6), make_sample(5.0, alive=4)]
    assert integral(samples, 10.0) == 2 * 2 + 6 * 3 + 4 * 5


def test_without_samples_there_is_no_worker_time() -> None:
    assert integral([], 10.0) == 0


def test_the_static_fleet_is_the_peak_for_the_whole_time(report: Make) -> None:
    summary = report().summary
    assert summary.static_workers == 8
    assert summary.static_worker_seconds == 8 * 110
    assert summary.worker_seconds == 2 * 24 + 8 * 38 + 2 * 48
    assert summary.saving == pytest.approx(1 - 448 / 880)


def test_each_phase_has_its_own_numbers(report: Make) -> None:
    calm, step, again, slow = report().summary.phases
    assert step.offered_rps == pytest.approx(120, rel=0.1)
    assert step.served_rps == step.offered_rps
    assert calm.p95_seconds == pytest.approx(0.30)
    assert slow.p95_seconds == pytest.approx(0.80)
    assert (step.workers_at_start, step.workers_max, step.workers_at_end) == (2, 8, 8)
    assert (again.workers_max, again.workers_at_end) == (8, 2)


def test_a_failure_is_counted_by_kind(report: Make, records: list[object]) -> None:
    records[0] = replace(records[0], status=503)  # type: ignore[type-var]
    records[1] = replace(records[1], status=0, error="ServerDisconnectedError: ")  # type: ignore[type-var]
    summary = report().summary
    assert summary.failed == 2
    assert summary.errors == {"HTTP 503": 1, "ServerDisconnectedError: ": 1}
    assert summary.phases[0].failed == 2


def test_the_json_has_the_documented_content(report: Make) -> None:
    content = json.loads(json.dumps(as_json(report(("it rained",)))))
    assert content["unmet"] == ["it rained"]
    assert content["requests"] == sum(phase["requests"] for phase in content["phases"])
    assert content["failed"] == 0
    assert content["saving_percent"] == pytest.approx(49.09, abs=0.01)
    assert [phase["objective_seconds"] for phase in content["phases"]] == [0.8] * 4
    first = content["decisions"][0]
    assert (first["workers_before"], first["workers"], first["reason"]) == (1, 4, "ScaledUp")
    assert {"type": "DependencyBound", "status": "True"}.items() <= content["conditions"][
        -1
    ].items()


def test_a_run_on_a_busy_machine_is_marked(report: Make) -> None:
    quiet, busy = as_json(report()), as_json(report(cpu_wait=0.6))
    assert (quiet["comparable"], quiet["cpu_wait"]) == (True, 0.04)
    assert (busy["comparable"], busy["cpu_wait"]) == (False, 0.6)
    console = Console(record=True, width=200, file=StringIO())
    print_summary(console, report(cpu_wait=0.6))
    assert "Not comparable: processes waited for a CPU in 60 % of the time" in console.export_text()
