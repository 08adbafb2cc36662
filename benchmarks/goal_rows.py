"""A goal with its result, as the benchmarks print and write it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A goal and its result."""

    name: str
    goal: str
    value: str
    holds: bool

    def as_dict(self) -> dict[str, str | bool]:
        """For JSON. Comparisons of NumPy's numbers are not of type ``bool``."""
        return {
            "name": self.name,
            "goal": self.goal,
            "value": self.value,
            "holds": bool(self.holds),
        }


def write(file: Path, rows: Sequence[Row], **about: object) -> None:
    """Write the rows, and ``about`` the run."""
    file.parent.mkdir(parents=True, exist_ok=True)
    content = {**about, "rows": [row.as_dict() for row in rows]}
    file.write_text(json.dumps(content, indent=2) + "\n", "utf-8")


def read(file: Path) -> list[Row]:
    """The rows that an earlier run wrote; none if there was no run."""
    if not file.exists():
        return []
    return [Row(**row) for row in json.loads(file.read_text("utf-8"))["rows"]]
