"""Each unmet expectation is reported."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from aiapi_demo.expectations import unmet_expectations
from aiapi_demo.recording import Recording, RunSample
from aiapi_demo.records import RequestRecord
from aiapi_demo.schedule import Phase
from aiapi_demo.summary import DemoReport, OperatorKill

Make = Callable[..., DemoReport]


def check(report: DemoReport, kill: OperatorKill | None = None) -> tuple[str, ...]:
    return unmet_expectations(report.summary, report.recording, report.phases, kill)


def change(recording: Recording, begin: float, end: float, **fields: object) -> None:
    recording.samples[:] = [
        replace(sample, **fields) if begin <= sample.at < end else sample  # type: ignore[arg-type]
        for sample in recording.samples
    ]


def test_a_good_run_meets_all_expectations(report: Make) -> None:
    assert check(report()) == ()


def test_a_failed_request_is_reported(report: Make, records: list[RequestRecord]) -> None:
    records[5] = replace(records[5], status=0, error="ServerDisconnectedError")
    assert check(report()) == (f"1 of {len(records)} requests failed: 1 x ServerDisconnectedError",)


def test_a_load_generator_that_died_is_reported(report: Make, records: list[RequestRecord]) -> None:
    del records[100:]
    assert any(sentence.startswith("only 100 of about") for sentence in check(report()))


def test_a_missed_objective_in_a_calm_phase_is_reported(
    report: Make, records: list[RequestRecord]
) -> None:
    records[:] = [
        replace(record, finished=record.finished + 1) if record.phase == 2 else record
        for record in records
    ]
    assert check(report()) == ("p95 in phase calm again: 1.300 s, objective 0.8 s",)


def test_a_fleet_that_did_not_grow_is_reported(report: Make, recording: Recording) -> None:
    change(recording, 0, 200, serving=2, wanted_workers=1)
    unmet = check(report())
    assert "the fleet did not grow in phase step to 6x (2 workers)" in unmet


def test_growth_with_a_slow_upstream_is_reported(report: Make, recording: Recording) -> None:
    change(recording, 90, 95, wanted_workers=3)
    assert check(report()) == ("the fleet grew while the LLM was slow: 2 to 6 wanted workers",)


@pytest.mark.parametrize("drop", [-1, None])
def test_the_diagnosis_must_be_true_with_a_message(
    report: Make, recording: Recording, drop: int | None
) -> None:
    if drop is None:
        recording.condition_changes.clear()
    else:
        last = recording.condition_changes[drop]
        recording.condition_changes[drop] = replace(
            last, condition=replace(last.condition, message="")
        )
    assert check(report()) == (
        "DependencyBound was not True while the LLM was slow, or had no message",
    )


def test_no_saving_is_reported(report: Make, recording: Recording) -> None:
    change(recording, 0, 200, alive=9)
    assert check(report()) == ("nothing was saved compared with a static fleet sized for the peak",)


KILL = OperatorKill(at=40.0, back_at=43.0, acts_at=43.0, guarded_until=51.0)


def test_a_fleet_that_keeps_its_size_survives_a_kill_of_the_operator(report: Make) -> None:
    assert check(report(), KILL) == ()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"wanted_workers": 2}, "caused a scale-down: 8 to 4 wanted workers"),
        ({"requested": 7}, "caused a scale-down: 8 to 7 requested workers"),
    ],
)
def test_a_scale_down_after_the_restart_is_reported(
    report: Make, recording: Recording, fields: dict[str, object], sentence: str
) -> None:
    change(recording, 45, 47, **fields)
    assert sentence in check(report(), KILL)[0]


def test_a_scale_down_after_stabilization_is_allowed(
    report: Make, recording: Recording, phases: tuple[Phase, ...]
) -> None:
    change(recording, 52, 60, wanted_workers=1)
    assert check(report(), KILL) == ()


def test_a_kill_without_samples_around_it_is_reported(
    report: Make, recording: Recording, make_sample: Callable[..., RunSample]
) -> None:
    recording.samples[:] = [each for each in recording.samples if not 40 <= each.at <= 51]
    assert "no samples of the fleet before or after" in check(report(), KILL)[0]


def test_an_operator_that_never_acts_after_the_restart_is_reported(report: Make) -> None:
    silent = OperatorKill(at=70.0, back_at=73.0, guarded_until=110.0)
    assert check(report(), silent) == ("the restarted operator never wrote the status",)
