"""The checkpoint is a loop over all that is remembered, and may have been written by anything."""

from copy import deepcopy
from dataclasses import replace
from functools import cache
from math import inf, isfinite, nan
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.sizing.fleet_model import FleetModel, spec

from aiapi_operator.sizing.checkpoint import number, settled
from aiapi_operator.sizing.decide import MEMORIES, checkpoint, restored
from aiapi_operator.sizing.entry import Learner
from aiapi_operator.sizing.state import State

ENTRIES = [pytest.param(each, id=each.kind.__name__) for each in MEMORIES]
MIB = 2**20


@cache
def lived() -> State:
    """What is remembered after a day's jump, a retry storm, an outage of metrics and a peak."""
    model = FleetModel(spec(learn_resources=True, time_of_day=8.9 * 3600), replicas=3)
    model.limit = 50
    model.threads = 40
    model.noise = None
    for rate in (20.0, 120.0, 300.0, 60.0):
        model.rate = rate
        for _ in range(45):
            now = model.spec.time_of_day or 0.0
            model.spec = replace(model.spec, time_of_day=now + 2.0)
            model.run(2)
    return model.state


def saved() -> dict[str, Any]:
    return deepcopy(checkpoint(lived()))


FIELDS = sorted(
    {*saved(), "profile", "queueingFactor", "requestMemory", "workerMemory", "workerCpu"}
)


@pytest.mark.parametrize("learner", ENTRIES)
def test_what_an_entry_leaves_it_reads_back(learner: Learner[Any]) -> None:
    known = lived().memory.get(learner.kind)
    if known is None:
        return
    fields = learner.checkpoint(known, {})
    found = learner.restore(fields)
    if found is None:
        assert learner.restore(saved()) is None, "it needs the fields of another entry"
        return
    assert type(found) is learner.kind
    assert learner.checkpoint(found, {}) == fields


@pytest.mark.parametrize("learner", ENTRIES)
def test_a_steady_checkpoint_is_not_written_again(learner: Learner[Any]) -> None:
    known = lived().memory.get(learner.kind)
    if known is not None:
        fields = learner.checkpoint(known, {})
        assert learner.checkpoint(known, fields) == fields


def test_no_two_entries_write_one_field() -> None:
    written = [
        name
        for learner in MEMORIES
        if (known := lived().memory.get(learner.kind)) is not None
        for name in learner.checkpoint(known, {})
    ]
    assert len(written) == len(set(written))
    assert {"serviceDemand", "baseLatency", "percentile", "peakWorkers"} <= set(written)


def test_the_kinds_of_all_entries_differ() -> None:
    kinds = [learner.kind for learner in MEMORIES]
    assert len(kinds) == len(set(kinds))


def test_a_new_operator_begins_with_what_the_last_one_knew() -> None:
    again = State(memory=restored(saved()))
    assert checkpoint(again) == saved()


RUBBISH = (
    *(None, True, -1, 0, 10**400, nan, inf, -inf, "", "nan", "inf", "-5", "1e400", "9" * 400),
    *("5s", "-5s", "999999h", "99999999Gi", "p", "pnan", b"5", [], {}, {"jumps": None}, object()),
    *({"jumps": "1 " * 48}, {"jumps": "nan " * 48, "seen": "x"}, {"jumps": 48 * [1]}),
)


@pytest.mark.parametrize("learner", ENTRIES)
@pytest.mark.parametrize("name", FIELDS)
def test_any_value_of_any_field_is_read(learner: Learner[Any], name: str) -> None:
    for value in RUBBISH:
        found = learner.restore({**saved(), name: value})
        if found is not None:
            assert type(found) is learner.kind
            learner.checkpoint(found, {})


@pytest.mark.parametrize("learner", ENTRIES)
@pytest.mark.parametrize("value", RUBBISH)
def test_anything_may_have_been_written_before(learner: Learner[Any], value: object) -> None:
    known = lived().memory.get(learner.kind)
    if known is not None:
        learner.checkpoint(known, dict.fromkeys(FIELDS, value))


amounts = st.floats(allow_nan=True, allow_infinity=True)
values = st.one_of(
    amounts,
    amounts.map(str),
    st.floats(0, 1e6).map(lambda value: f"{value:.3f}s"),
    st.floats(0, 1e9).map(lambda value: f"{value:.0f}Mi"),
    st.floats(0, 100).map(lambda value: f"p{value:g}"),
    st.integers(-5, 10**12),
    st.text(max_size=8),
    st.none(),
)
profiles = st.fixed_dictionaries(
    {
        "jumps": st.lists(st.integers(-500, 500), min_size=47, max_size=48).map(
            lambda jumps: " ".join(map(str, jumps))
        ),
        "seen": values,
        "errors": values,
        "errorsWithout": values,
    }
)
checkpoints = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(FIELDS, values) | {"profile": profiles | values}
)


@settings(max_examples=40, deadline=None)
@given(checkpoints, st.floats(0, 300))
def test_with_any_checkpoint_the_first_decisions_keep_or_raise(
    found: dict[str, Any], rate: float
) -> None:
    user_spec = spec(learn_resources=True, time_of_day=8.999 * 3600)
    model = FleetModel(user_spec, replicas=5, workers=3)
    model.rate = rate
    model.state = State(memory=restored(found))
    for _, decision in model.run(8):
        assert decision.workers >= 3
        assert decision.replicas >= 5
        assert 0.1 <= decision.worker_cpu <= 2.0
    assert checkpoint(model.state)


def test_the_restored_service_demand_applies_until_enough_requests() -> None:
    model = FleetModel(spec())
    model.rate = 4.0
    model.run(60)
    model.restart_operator()
    model.run(4)
    assert model.last.need.service_demand == pytest.approx(0.021, rel=0.01), "idle work included"
    assert "service demand dates from before the operator started" in model.last.message
    model.run(20)
    assert "before the operator started" not in model.last.message


def test_a_clock_that_went_back_forgets_no_more_than_a_restart() -> None:
    model = FleetModel(spec())
    model.rate = 100.0
    model.run(300)
    model.now = 5.0
    decision = model.decide()
    kept = checkpoint(decision.state)
    expected = restored(checkpoint(State(memory=model.decisions[-2][1].state.memory)))
    assert kept == checkpoint(State(memory=expected))
    assert decision.need.service_demand == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize(
    ("value", "found"),
    [(5, 5.0), ("5.5", 5.5), (-5, 0.0), ("nan", 0.0), (inf, 0.0), (None, 0.0), ([], 0.0)],
)
def test_a_number_that_makes_no_sense_is_zero(value: object, found: float) -> None:
    assert number(value) == found


@pytest.mark.parametrize(
    ("before", "now", "written"),
    [
        *(("100", "109", "100"), ("100", "111", "111"), ("100", "90", "100"), ("100", "89", "89")),
        *((None, "5", "5"), (100, "5", "5"), ("x", "5", "5")),
    ],
)
def test_a_number_is_written_when_it_moved_by_a_tenth(
    before: object, now: str, written: str
) -> None:
    assert settled(now, {"a": before}, "a", float) == written


@given(values)
def test_a_number_is_finite_and_positive(value: object) -> None:
    assert isfinite(number(value))
    assert number(value) >= 0
