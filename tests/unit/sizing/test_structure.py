"""The decision reads as lists: each entry is one file, and can be removed without another one."""

import ast
import re
import sys
from dataclasses import fields, is_dataclass, replace
from inspect import getsource
from pathlib import Path
from typing import Any

import pytest
from unit.sizing.fleet_model import FleetModel, spec

from aiapi_operator import sizing
from aiapi_operator.sizing import decide as decision
from aiapi_operator.sizing.decide import DIAGNOSES, GUARDS, LEARNERS, MEMORIES, NEEDS, decide
from aiapi_operator.sizing.decision import Binding
from aiapi_operator.sizing.entry import Learner
from aiapi_operator.sizing.inputs import Bounds, Floor, UpcomingFloor
from aiapi_operator.sizing.needs import concurrency, floor, loop, memory, schedule, threads

ROOT = Path(next(iter(sizing.__path__)))
HERE = Path(__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))
LISTS = ("LEARNERS", "NEEDS", "GUARDS", "DIAGNOSES")
READERS = ("decide.py", "reference.py")
"""The decision, and the pages of the documentation that are made from the lists."""
MOST_TUNING = 60


def module_of(learner: Learner[Any]) -> str:
    return learner.learn.__module__


def names(path: Path) -> set[str]:
    """Names that a module uses or imports; not those in its texts."""
    found = ast.walk(ast.parse(path.read_text()))
    return {
        name
        for node in found
        for name in (
            [node.id]
            if isinstance(node, ast.Name)
            else [node.attr]
            if isinstance(node, ast.Attribute)
            else [alias.name for alias in node.names]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }


def test_the_decision_is_read_on_one_screen() -> None:
    assert len(getsource(decide).splitlines()) <= 60


@pytest.mark.parametrize("learner", LEARNERS, ids=module_of)
def test_a_learner_has_an_example_and_a_test(learner: Learner[Any]) -> None:
    text = sys.modules[module_of(learner)].__doc__ or ""
    assert re.search(r"\d", text), "its docstring has a worked example"
    assert is_dataclass(learner.kind)
    name = module_of(learner).rpartition(".")[2]
    assert (HERE / "learners" / f"test_{name}.py").is_file()


def test_every_learner_file_is_in_the_list() -> None:
    files = {path.stem for path in (ROOT / "learners").glob("*.py")} - {"__init__"}
    assert files == {module_of(learner).rpartition(".")[2] for learner in LEARNERS}


def test_there_are_at_most_sixty_tuning_numbers() -> None:
    tunings = [learner.tuning for learner in MEMORIES if learner.tuning is not None]
    assert sum(len(fields(tuning)) for tuning in tunings) <= MOST_TUNING
    classes = {
        node.name
        for path in SOURCES
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and node.name.endswith("Tuning")
    }
    assert classes == {type(tuning).__name__ for tuning in tunings}, "all of them are counted"


@pytest.mark.parametrize(
    "path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)).replace("/", ".")
)
def test_only_the_decision_reads_the_lists(path: Path) -> None:
    home = path.parent.name.upper() if path.name == "__init__.py" else ""
    allowed = {*LISTS, "MEMORIES"} if path.name in READERS else {home}
    assert names(path) & {*LISTS, "MEMORIES"} <= allowed


def eventful() -> FleetModel:
    """Ten minutes with all that entries react to; returns the model at its end."""
    user_spec = spec(
        workers=Bounds(min=1, max=4),
        replicas=Bounds(min=2, max=6),
        learn_resources=True,
        floors=(Floor(workers=1, replicas=3, name="day"),),
        upcoming=(UpcomingFloor(floor=Floor(workers=2, replicas=4, name="noon"), seconds=90.0),),
        time_of_day=8.95 * 3600,
        max_concurrency=50,
    )
    model = FleetModel(user_spec, replicas=3)
    model.threads, model.memory_limit = 40, 512 * 2**20
    for minute, rate in enumerate((20.0, 60.0, 400.0, 400.0, 90.0, 20.0, 60.0, 0.0, 20.0, 300.0)):
        model.rate = rate
        model.upstream = 0.9 if minute == 3 else 0.3
        model.outage, model.retries = minute == 4, 1
        model.silent = {"pod-0"} if minute == 6 else set()
        model.spec = replace(user_spec, time_of_day=8.95 * 3600 + 60 * minute)
        model.run(60)
        if minute == 1:
            model.restart(1)
        if minute == 7:
            model.restart_operator()
    return model


BINDING = {
    loop.need: Binding.LOOP,
    concurrency.need: Binding.CONCURRENCY,
    threads.need: Binding.THREADS,
    memory.need: Binding.MEMORY,
    schedule.need: Binding.FLOOR,
}


def survives(model: FleetModel) -> None:
    assert len(model.decisions) == 300
    for _, each in model.decisions:
        assert 1 <= each.workers <= 4
        assert 2 <= each.replicas <= 6
        assert each.message


def without(monkeypatch: pytest.MonkeyPatch, learner: Learner[Any] | None) -> None:
    kept = tuple(each for each in MEMORIES if each is not learner)
    monkeypatch.setattr(decision, "MEMORIES", kept)


def test_with_all_entries() -> None:
    model = eventful()
    survives(model)
    known = {kind.__name__ for kind, found in model.state.memory.items() if found is not None}
    assert {"Failures", "ThreadTime", "RequestMemory", "DailyProfile", "WorkerUse"} <= known


@pytest.mark.property
@pytest.mark.parametrize("learner", LEARNERS, ids=module_of)
def test_without_a_learner(learner: Learner[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, learner)
    model = eventful()
    survives(model)
    assert learner.kind not in model.state.memory


@pytest.mark.property
@pytest.mark.parametrize(
    "need", [each for each in NEEDS if each is not floor.need], ids=lambda each: each.__module__
)
def test_without_a_need(need: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decision, "NEEDS", tuple(each for each in NEEDS if each is not need))
    model = eventful()
    survives(model)
    binding = {each.need.binding for _, each in model.decisions}
    assert (BINDING[need] in binding) is (need is schedule.need), "the floor binds in its place"


@pytest.mark.property
@pytest.mark.parametrize("guard", GUARDS, ids=lambda each: each.check.__qualname__)
def test_without_a_guard(guard: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, guard.learner)
    monkeypatch.setattr(decision, "GUARDS", tuple(each for each in GUARDS if each is not guard))
    survives(eventful())


@pytest.mark.property
@pytest.mark.parametrize("diagnosis", DIAGNOSES, ids=lambda each: each.check.__module__)
def test_without_a_diagnosis(diagnosis: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, diagnosis.learner)
    kept = tuple(each for each in DIAGNOSES if each is not diagnosis)
    monkeypatch.setattr(decision, "DIAGNOSES", kept)
    model = eventful()
    survives(model)
    assert len(model.last.conditions) == len(DIAGNOSES) - 1
