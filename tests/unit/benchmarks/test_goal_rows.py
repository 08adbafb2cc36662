"""The rows of goals are written and read, whatever type the comparison had."""

from pathlib import Path

import goal_rows
import numpy as np
from goal_rows import Row


def test_a_comparison_of_numpy_numbers_can_be_written(tmp_path: Path) -> None:
    row = Row(name="p95", goal="within 15 %", value="+3.3 %", holds=np.float64(0.033) <= 0.15)
    goal_rows.write(tmp_path / "bench" / "rows.json", [row], seconds=1.5)
    assert goal_rows.read(tmp_path / "bench" / "rows.json") == [row]


def test_without_a_run_there_are_no_rows(tmp_path: Path) -> None:
    assert goal_rows.read(tmp_path / "rows.json") == []
