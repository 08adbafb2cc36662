"""The figures of a busy machine are marked."""

from pathlib import Path

import pytest

from aiapi_demo.cpu_wait import CpuReading, CpuWait, between, own_delay, read


def reading(at: float, **counters: float | None) -> CpuReading:
    found: dict[str, float | None] = {"pressure": None, "running": None, "delayed": None}
    return CpuReading(at=at, **(found | counters))  # type: ignore[arg-type]


def test_pressure_counts_first() -> None:
    wait = between(
        reading(10, pressure=5, running=1, delayed=0),
        reading(30, pressure=11, running=2, delayed=9),
    )
    assert wait.share == pytest.approx(0.3)
    assert not wait.comparable
    assert str(wait).startswith("Not comparable: processes waited for a CPU in 30 % of the time")


def test_without_pressure_the_run_queue_delay_counts() -> None:
    wait = between(reading(0, running=1, delayed=1), reading(20, running=10, delayed=2))
    assert wait.share == pytest.approx(0.1)
    assert wait.comparable
    assert str(wait) == "Comparable: this process waited for a CPU in 10 % of the time."


def test_without_counters_a_run_is_not_comparable() -> None:
    wait = between(reading(0), reading(20))
    assert wait.share is None
    assert not wait.comparable
    assert "does not report" in str(wait)


@pytest.mark.parametrize(("share", "comparable"), [(0.24, True), (0.25, False)])
def test_a_quarter_is_the_limit(share: float, comparable: bool) -> None:
    assert CpuWait(share=share, source="").comparable == comparable


def test_a_process_that_did_not_run_waited_for_nothing() -> None:
    assert own_delay(reading(0, running=1, delayed=1), reading(9, running=1, delayed=1)) == 0


def test_the_kernels_files_are_read_in_seconds(tmp_path: Path) -> None:
    pressure, schedstat = tmp_path / "pressure", tmp_path / "schedstat"
    pressure.write_text(
        "some avg10=12.02 avg60=13.04 avg300=34.18 total=3449855348\n"
        "full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n"
    )
    schedstat.write_text("2500000000 500000000 42\n")
    found = read(pressure, schedstat)
    assert found.pressure == pytest.approx(3449.855348)
    assert (found.running, found.delayed) == (2.5, 0.5)


@pytest.mark.parametrize("content", [None, "", "nonsense"])
def test_files_that_are_missing_or_unknown_count_as_none(
    tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "file"
    if content is not None:
        path.write_text(content)
    found = read(path, path)
    assert (found.pressure, found.running, found.delayed) == (None, None, None)
