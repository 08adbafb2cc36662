"""Each promise that does not hold is named, and none is taken for granted."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from aiapi_demo.expectations import unmet_expectations
from aiapi_demo.recording import Recording, Sample
from aiapi_demo.records import RequestRecord
from aiapi_demo.schedule import Phase
from aiapi_demo.summary import DemoReport, OperatorKill

Make = Callable[..., DemoReport]


def judge(report: DemoReport, kill: OperatorKill | None = None) -> tuple[str, ...]:
    return unmet_expectations(report.summary, report.recording, report.phases, kill)


def change(recording: Recording, begin: float, end: float, **fields: object) -> None:
    recording.samples[:] = [
        replace(sample, **fields) if begin <= sample.at < end else sample  # type: ignore[arg-type]
        for sample in recording.samples
    ]


def test_a_good_run_has_nothing_to_complain_of(report: Make) -> None:
    assert judge(report()) == ()


def test_a_failed_request_is_named(report: Make, records: list[RequestRecord]) -> None:
    records[5] = replace(records[5], status=0, error="ServerDisconnectedError")
    assert judge(report()) == (f"1 of {len(records)} requests failed: 1 x ServerDisconnectedError",)


def test_a_load_generator_that_died_is_no_success(
    report: Make, records: list[RequestRecord]
) -> None:
    del records[100:]
    assert any(sentence.startswith("only 100 of about") for sentence in judge(report()))


def test_a_missed_objective_in_a_calm_phase_is_named(
    report: Make, records: list[RequestRecord]
) -> None:
    records[:] = [
        replace(record, finished=record.finished + 1) if record.phase == 2 else record
        for record in records
    ]
    assert judge(report()) == ("p95 was 1.300 s in phase calm again, the objective is 0.8 s",)


def test_a_fleet_that_never_grew_shows_nothing(report: Make, recording: Recording) -> None:
    change(recording, 0, 200, serving=2, wanted_workers=1)
    told = judge(report())
    assert "the fleet did not grow in phase step to 6x (2 workers)" in told


def test_growth_under_a_slow_upstream_is_named(report: Make, recording: Recording) -> None:
    change(recording, 90, 95, wanted_workers=3)
    assert judge(report()) == ("the fleet grew while the LLM was slow: 2 to 6 workers wanted",)


@pytest.mark.parametrize("drop", [-1, None])
def test_the_diagnosis_must_be_seen_and_explained(
    report: Make, recording: Recording, drop: int | None
) -> None:
    if drop is None:
        recording.diagnoses.clear()
    else:
        last = recording.diagnoses[drop]
        recording.diagnoses[drop] = replace(last, condition=replace(last.condition, message=""))
    assert judge(report()) == (
        "DependencyBound was not True with a message while the LLM was slow",
    )


def test_no_saving_is_named(report: Make, recording: Recording) -> None:
    change(recording, 0, 200, alive=9)
    assert judge(report()) == ("nothing was saved against a static fleet sized for the peak",)


KILL = OperatorKill(at=40.0, back_at=43.0, acts_at=43.0, guarded_until=51.0)


def test_a_fleet_that_stays_survives_the_operators_death(report: Make) -> None:
    assert judge(report(), KILL) == ()


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"wanted_workers": 2}, "caused a scale-down: 8 to 4 workers wanted"),
        ({"asked": 7}, "caused a scale-down: 8 to 7 workers asked of pods"),
    ],
)
def test_a_scale_down_after_its_return_is_named(
    report: Make, recording: Recording, fields: dict[str, object], says: str
) -> None:
    change(recording, 45, 47, **fields)
    assert says in judge(report(), KILL)[0]


def test_a_later_scale_down_is_its_own_decision(
    report: Make, recording: Recording, phases: tuple[Phase, ...]
) -> None:
    change(recording, 52, 60, wanted_workers=1)
    assert judge(report(), KILL) == ()


def test_a_kill_that_nobody_watched_proves_nothing(
    report: Make, recording: Recording, make_sample: Callable[..., Sample]
) -> None:
    recording.samples[:] = [each for each in recording.samples if not 40 <= each.at <= 51]
    assert "not seen before and after" in judge(report(), KILL)[0]


def test_a_successor_that_never_acts_is_named(report: Make) -> None:
    silent = OperatorKill(at=70.0, back_at=73.0, guarded_until=110.0)
    assert judge(report(), silent) == ("the operator that was started anew never wrote the status",)
