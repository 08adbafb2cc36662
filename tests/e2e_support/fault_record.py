"""What the scenarios measured, for docs/failure-modes.md.

``make test-faults RECORD=1`` keeps it; other runs only print it.
"""

import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

from e2e_support.fault import Outcome

PATH = Path(__file__).parents[1] / "e2e" / "faults" / "measured.json"


def read() -> dict[str, dict[str, Any]]:
    """What was measured, by scenario."""
    found: dict[str, dict[str, Any]] = json.loads(PATH.read_text()) if PATH.exists() else {}
    return found


_outcomes: dict[str, list[Outcome]] = defaultdict(list)


def note(scenario: str, outcome: Outcome) -> None:
    """Print an outcome, and keep it if that is asked for; cases of a scenario are added up."""
    found = _outcomes[scenario]
    found.append(outcome)
    entry = {
        "requests": sum(each.requests for each in found),
        "lost": sum(each.lost for each in found),
        "recovery_seconds": round(max(each.recovery_seconds for each in found), 1),
    }
    print(scenario, entry, "sizes", [tuple(size) for size in outcome.sizes])  # noqa: T201
    if os.environ.get("RECORD"):
        text = json.dumps({**read(), scenario: entry}, indent=2, sort_keys=True)
        PATH.write_text(text + "\n")
