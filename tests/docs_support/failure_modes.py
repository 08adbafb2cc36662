"""Generates the table of docs/failure-modes.md from the fault scenarios.

    python tests/docs_support/failure_modes.py

Each scenario's ``ROW`` is one row; what it measured is in tests/e2e/faults/measured.json.
"""

import ast
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SCENARIOS = ROOT / "tests" / "e2e" / "faults"
PAGE = ROOT / "docs" / "failure-modes.md"
BEGIN, END = "<!-- begin: scenarios -->\n", "<!-- end: scenarios -->\n"
HEAD = "| fault | what you see | what the operator does | measured | scenario |"


@dataclass(frozen=True, kw_only=True)
class Scenario:
    file: Path
    row: dict[str, Any]

    @property
    def name(self) -> str:
        return self.file.stem


def scenarios() -> list[Scenario]:
    """All scenarios, in the order of their names. Raises ValueError for one without a row."""
    files = sorted(SCENARIOS.glob("test_*.py"))
    return [Scenario(file=file, row=_row(file)) for file in files]


def _row(file: Path) -> dict[str, Any]:
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ROW":
            assert isinstance(node.value, ast.Call)
            words = node.value.keywords
            return {word.arg: ast.literal_eval(word.value) for word in words if word.arg}
    raise ValueError(f"{file.name} has no ROW")


def measured() -> dict[str, dict[str, Any]]:
    """What `make test-faults RECORD=1` measured, by scenario."""
    path = SCENARIOS / "measured.json"
    found: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.exists() else {}
    return found


def table() -> str:
    """The table in Markdown."""
    figures = measured()
    lines = [HEAD, "| --- | --- | --- | --- | --- |"]
    for each in scenarios():
        row, seen = each.row, _figures(figures.get(each.name))
        where = each.file.relative_to(ROOT)
        lines.append(f"| {row['fault']} | {row['user']} | {row['operator']} | {seen} | `{where}` |")
    return "\n".join(lines) + "\n"


def _figures(entry: dict[str, Any] | None) -> str:
    if entry is None:
        return "not measured"
    lost, requests = entry["lost"], entry["requests"]
    return f"{lost} of {requests} requests lost; right size {entry['recovery_seconds']} s after"


def page(text: str) -> str:
    """The page with the current table."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + "\n" + table() + "\n" + END + after


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
