"""Converts the right-sizer's checkpoint to and from the status.

The status carries the savings totals and slowly learned values to the next operator. Totals grow
all the time: they are written together with other changes, and otherwise after ten minutes, or
when a quarter was added, at least once an hour. So a steady AIApi causes few writes, and a restart
loses no more than a fifth of the first hour, after which savings are reported.

An older version or a user may have written the status, so reading tolerates any content.
"""

from collections.abc import Mapping
from typing import Any

from aiapi_operator.sizing.checkpoint import number
from aiapi_operator.sizing.decide import checkpoint, restored
from aiapi_operator.sizing.state import State

TOTALS_INTERVAL = 3600.0
"""Seconds after which grown totals alone are written."""
GROWTH = 0.25
"""Share by which totals must have grown to be written sooner."""
LEAST_GROWTH = 600.0
"""Seconds that must have been added. A sixth of the first hour."""
_TOTALS = (
    "observedSeconds",
    "workerSeconds",
    "podSeconds",
    "missedSeconds",
    "peakWorkers",
    "peakReplicas",
)
_ELSEWHERE = ("serviceDemand", "percentile", "firstBytePercentile")
"""Parts of the checkpoint that the status has in ``need`` and ``load``."""


def totals(state: State) -> dict[str, Any]:
    """The current counters of ``status.savings``."""
    return _pick(checkpoint(state), *_TOTALS)


def settled_totals(state: State, written: dict[str, Any]) -> dict[str, Any]:
    """The counters as last written, or the current ones when those are too old."""
    current, before = totals(state), _pick(written, *_TOTALS)
    peak = ("peakWorkers", "peakReplicas")
    same_peak = all(before.get(key) == current.get(key) for key in peak)
    last = number(before.get("observedSeconds"))
    age = current.get("observedSeconds", 0) - last
    due = min(TOTALS_INTERVAL, max(LEAST_GROWTH, GROWTH * last))
    return before if before and same_peak and age < due else current


def learned(state: State, written: dict[str, Any]) -> dict[str, Any]:
    """``status.learned``; ``written`` is its last version. Fields without data are absent."""
    found = checkpoint(state, written)
    return {key: value for key, value in found.items() if key not in (*_TOTALS, *_ELSEWHERE)}


def initial_state(status: Any) -> State:
    """The state to start with, by what the previous operator left in the status."""
    saved = {
        **part(status, "learned"),
        **part(status, "savings"),
        **_pick({**part(status, "need"), **part(status, "load")}, *_ELSEWHERE),
    }
    return State(memory=restored(saved))


def _pick(document: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: document[name] for name in names if name in document}


def part(document: Any, name: str) -> Mapping[str, Any]:
    """A part of the status; empty where it is missing or not valid."""
    found = document.get(name) if isinstance(document, Mapping) else None
    return found if isinstance(found, Mapping) else {}
