"""The lists of the decision: an entry is added or removed by its line in the list alone."""

import re
from pathlib import Path
from typing import Any

import pytest
from unit.sizing.fleet_model import FleetModel, spec
from unit.sizing.samples import pod

from aiapi_operator.sizing import decide as decision
from aiapi_operator.sizing.inputs import Fleet
from aiapi_operator.sizing.needs import NEEDS
from aiapi_operator.sizing.state import State

ARCHITECTURE = Path(__file__).parents[3] / "docs" / "architecture.md"
LISTS = ("MEMORIES", "NEEDS", "GUARDS", "DIAGNOSES")


def label(entry: Any) -> str:
    """The function of an entry, such as loop.need."""
    function = getattr(entry, "learn", None) or getattr(entry, "check", None) or entry
    return f"{function.__module__.rpartition('.')[2]}.{function.__name__}"


ENTRIES = [
    pytest.param(name, entry, id=f"{name}-{label(entry)}")
    for name in LISTS
    for entry in getattr(decision, name)
]


@pytest.mark.parametrize(("name", "entry"), ENTRIES)
def test_the_decision_works_without_any_one_entry(
    name: str, entry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It still decides and checkpoints. Workers follow the load, by the loop need alone."""
    rest = tuple(each for each in getattr(decision, name) if each is not entry)
    monkeypatch.setattr(decision, name, rest)
    model = FleetModel(spec(), replicas=2, workers=1)
    model.run(80.0)
    model.rate = 200.0
    model.run(60.0)
    grows = model.last.workers * model.last.replicas >= 4
    assert grows == (label(entry) != "loop.need")
    kept = decision.restored(decision.checkpoint(model.state))
    assert all(kind in model.state.memory for kind in kept)


def test_a_removed_diagnosis_is_not_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def reported() -> list[str]:
        found = decision.decide(spec(), Fleet(replicas=2, pods=()), State(), 0.0)
        return [each.type for each in found.conditions]

    first, *others = reported()
    monkeypatch.setattr(decision, "DIAGNOSES", decision.DIAGNOSES[1:])
    assert reported() == others
    assert first not in others


def test_the_documented_need_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipe in docs/architecture.md: one file, and one line in the list."""
    text = ARCHITECTURE.read_text(encoding="utf-8")
    (source,) = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    entry: dict[str, Any] = {}
    exec(source, entry)  # noqa: S102 (the text of our own page)
    monkeypatch.setattr(decision, "NEEDS", (*NEEDS, entry["need"]))
    state, found = State(), None
    for at in (0.0, 2.0):
        pods = (pod(at, open_connections=25_000, succeeded=100 + int(50 * at)),)
        found = decision.decide(spec(), Fleet(replicas=1, pods=pods), state, at)
        state = found.state
    assert found is not None
    assert "25,000 open connections / 10,000 per worker" in found.message
    assert found.message.split(";")[0] in text
