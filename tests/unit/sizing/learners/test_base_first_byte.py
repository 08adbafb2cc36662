"""Base time to the first byte: read at idle loops, and moved to where it must be."""

from typing import Any

import pytest
from unit.sizing.fleet_model import spec
from unit.sizing.samples import facts, row

from aiapi_operator.sizing.inputs import LatencyObjective, ObjectiveKind
from aiapi_operator.sizing.learners.base_first_byte import (
    LEARNER,
    BaseFirstByte,
    base,
    learn,
    restore,
)
from aiapi_operator.sizing.learners.base_latency import BaseLatency
from aiapi_operator.sizing.learners.service_demand import ServiceDemand

FIRST = LatencyObjective(percentile=95, threshold=0.8, kind=ObjectiveKind.FIRST_BYTE)
STREAMS = spec(objective=FIRST)
KNOWN = BaseFirstByte(percentile=95, current=0.19, calm=0.19, time=0.0)
SERVICE = ServiceDemand(seconds=0.01, requests=5000)


def measured(p95: float, **changes: Any) -> Any:
    """Ten ticks in which 95 % of the first bytes came within ``p95``."""
    histogram = ((p95 - 0.001, p95 + 0.001, 60.0), (188, 4, 8, 0))
    return row(10, first_byte=histogram, **changes)


def after(ticks: Any, known: BaseFirstByte | None = KNOWN) -> BaseFirstByte | None:
    return learn(known, facts(ticks, user_spec=STREAMS, known=(SERVICE,)))


BUSY = {"busiest": 0.8, "in_flight": 33.0, "upstream": 30.0}
"""100 rps, 3 of them at a loop: 20 ms of queueing on average, and 60 ms at p95."""


@pytest.mark.parametrize(
    ("p95", "current"),
    [
        pytest.param(0.70, 0.64, id="the worked example: the model began to answer later"),
        pytest.param(0.24, 0.19, id="the worked example: it may be as before"),
        pytest.param(0.15, 0.15, id="no more than what is measured"),
    ],
)
def test_it_moves_to_what_the_measurement_leaves_possible(p95: float, current: float) -> None:
    found = after(measured(p95, **BUSY))
    assert found is not None
    assert found.current == pytest.approx(current, abs=0.003)
    assert (found.moved == 20.0) == (current != 0.19)


def test_it_is_read_at_idle_loops() -> None:
    found = after(measured(0.3, busiest=0.0), None)
    assert found is not None
    assert found.current == found.calm == pytest.approx(0.3, abs=0.003)
    assert after(measured(0.3, busiest=0.8), None) is None


def test_it_is_unknown_without_the_objective() -> None:
    assert learn(KNOWN, facts(measured(0.3), user_spec=spec())) is None


def test_another_percentile_is_read_again() -> None:
    median = BaseFirstByte(percentile=50, current=9.0, calm=9.0, time=0.0)
    found = after(measured(0.3, busiest=0.0), median)
    assert found is not None
    assert found.calm < 1


def test_while_workers_wait_for_cpu_it_stays() -> None:
    assert after(measured(0.7, contended=True)) is KNOWN


def test_each_objective_has_its_base() -> None:
    latency = BaseLatency(percentile=95, current=0.5, calm=0.5, time=0.0)
    seen = facts(known=(KNOWN, latency))
    assert base(seen, FIRST) is KNOWN
    assert base(seen, spec().objective) is latency


def test_it_is_restored() -> None:
    found = restore(LEARNER.checkpoint(KNOWN, {}))
    assert type(found) is BaseFirstByte
    assert (found.percentile, found.current, found.calm) == (95, 0.19, 0.19)


@pytest.mark.parametrize("text", [None, 5, "", "190", "0s", "2h", "nan", ["190ms"]])
def test_a_senseless_checkpoint_is_ignored(text: object) -> None:
    assert restore({"baseFirstByte": text, "firstBytePercentile": "p95"}) is None
