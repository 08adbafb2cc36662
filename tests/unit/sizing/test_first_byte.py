"""Objectives for the time to the first byte: streams are sized by their loop time, and judged by
when they begin."""

from dataclasses import replace
from typing import Any

import pytest
from unit.sizing.fleet_model import FleetModel, condition, spec

from aiapi_operator.sizing.capacity import UtilizationTarget
from aiapi_operator.sizing.decide import checkpoint, restored
from aiapi_operator.sizing.inputs import LatencyObjective, ObjectiveKind
from aiapi_operator.sizing.learners.base_first_byte import BaseFirstByte
from aiapi_operator.sizing.learners.base_latency import BaseLatency

FIRST = LatencyObjective(percentile=95, threshold=0.8, kind=ObjectiveKind.FIRST_BYTE)
WHOLE = LatencyObjective(percentile=95, threshold=60.0)
BOTH: dict[str, Any] = {"objective": WHOLE, "other_objectives": (FIRST,)}


def streams(*, rate: float = 60.0, upstream: float = 0.13, **changes: Any) -> FleetModel:
    """Answers of 20 s whose first byte comes after 0.13 x 1.5 = 0.2 s at p95."""
    model = FleetModel(spec(**({"objective": FIRST} | changes)))
    model.upstream, model.stream, model.rate = upstream, 20.0, 5.0
    model.run(120)
    model.rate = rate
    model.run(400)
    return model


def test_streams_are_sized_by_loop_time_and_are_not_infeasible() -> None:
    model = streams()
    assert condition(model.last, "ObjectiveInfeasible") == (
        False,
        "At an idle event loop first-byte p95 is 160 ms; the objective is 800 ms.",
    )
    assert condition(model.last, "DependencyBound")[0] is False
    load, need = model.last.load, model.last.need
    assert load.in_flight == pytest.approx(60 * 20.2, rel=0.05)
    assert load.first_byte == pytest.approx(0.25, abs=0.1)
    assert load.latency is None, "the latency is not an objective"
    # 60 rps x 20 ms at 85 % are 1.4 workers, and one pod more than that.
    assert need.target_utilization == pytest.approx(0.85)
    assert model.last.workers * model.last.replicas <= 4


def test_the_whole_latency_of_the_same_streams_is_infeasible() -> None:
    model = streams(objective=replace(WHOLE, threshold=0.8))
    status, message = condition(model.last, "ObjectiveInfeasible")
    assert status is True
    assert "set objective.latency.threshold above" in message
    assert "If responses are streams, set objective.firstByte instead." in message


def test_the_first_byte_is_no_extra_work_where_it_is_not_an_objective() -> None:
    model = streams(objective=WHOLE)
    assert {tick.first_byte for tick in model.state.ticks} == {((), ())}
    assert set(model.state.merged) == {ObjectiveKind.LATENCY}
    assert BaseFirstByte not in model.state.memory or model.state.memory[BaseFirstByte] is None


def test_with_both_objectives_the_stricter_one_sets_the_utilization() -> None:
    strict = replace(FIRST, threshold=0.3)
    model = streams(**(BOTH | {"other_objectives": (strict,)}))
    target = model.state.memory[UtilizationTarget]
    assert target.objective == strict
    assert target.utilization < 0.7
    assert model.last.load.latency == pytest.approx(20.3, rel=0.1)
    assert model.last.load.first_byte is not None
    relaxed = streams(**BOTH)
    assert relaxed.state.memory[UtilizationTarget].utilization == pytest.approx(0.85)


def test_with_both_objectives_the_missed_one_is_named() -> None:
    model = streams(**(BOTH | {"objective": replace(WHOLE, threshold=10.0)}))
    status, message = condition(model.last, "ObjectiveInfeasible")
    assert status is True
    assert message.startswith("p95 is 22 s even at an idle event loop")
    model = streams(**(BOTH | {"other_objectives": (replace(FIRST, threshold=0.1),)}))
    status, message = condition(model.last, "ObjectiveInfeasible")
    assert status is True
    assert message.startswith("first-byte p95 is 160 ms even at an idle event loop")
    assert "set objective.firstByte.threshold above 160 ms" in message
    assert "are streams" not in message


def test_a_model_that_begins_later_adds_no_worker() -> None:
    model = streams()
    size = model.size
    model.upstream *= 5
    for _, decision in model.run(180):
        assert (decision.workers, decision.replicas) == size
    status, message = condition(model.last, "DependencyBound")
    assert status is True
    assert message.startswith("first-byte p95 is 1,000 ms (usually ")
    assert condition(model.last, "ObjectiveInfeasible")[0] is True
    model.upstream /= 5
    model.run(90)
    assert condition(model.last, "DependencyBound")[0] is False
    assert condition(model.last, "ObjectiveInfeasible")[0] is False


def test_longer_streams_do_not_move_the_base() -> None:
    model = streams()
    before = model.state.memory[BaseFirstByte]
    model.stream = 60.0
    model.run(200)
    assert model.state.memory[BaseFirstByte].current == pytest.approx(before.current, rel=0.1)
    assert model.last.workers * model.last.replicas <= 4


def test_the_objective_may_change_while_requests_run() -> None:
    model = streams(objective=WHOLE)
    model.spec = replace(model.spec, objective=FIRST)
    model.run(4)
    assert model.last.load.latency is None
    assert model.last.load.first_byte == pytest.approx(0.25, abs=0.1)
    model.run(60)
    assert model.state.memory[BaseLatency] is None
    assert model.state.memory[UtilizationTarget].objective == FIRST


def test_the_base_survives_a_restart() -> None:
    known = streams().state.memory[BaseFirstByte]
    saved = checkpoint(streams().state)
    found = restored(saved)[BaseFirstByte]
    assert isinstance(found, BaseFirstByte)
    assert found.current == pytest.approx(known.calm, rel=0.01)
    del saved["firstBytePercentile"]
    assert BaseFirstByte not in restored(saved), "without a percentile it means nothing"
