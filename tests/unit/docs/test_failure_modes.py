"""Tests that each documented failure mode names tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_each_failure_mode_names_its_tests() -> None:
    text = (ROOT / "docs" / "failure-modes.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ")][2:]
    assert rows
    for row in rows:
        tests = re.findall(r"`(tests/[\w/]+\.py)`", row.rsplit("| ", 1)[1])
        assert tests, row
        assert [test for test in tests if not (ROOT / test).is_file()] == []
