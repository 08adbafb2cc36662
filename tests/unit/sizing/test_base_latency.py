"""Base latency: measured at idle loops, and adjusted to the upstream time."""

from dataclasses import replace

import pytest
from unit.sizing.test_capacity import OBJECTIVE, known, level
from unit.sizing.test_estimators import row, tick

from aiapi_operator.sizing import base_latency
from aiapi_operator.sizing.inputs import LatencyObjective
from aiapi_operator.sizing.state import BaseLatency, BaseReference, Tick


def test_the_base_excludes_queueing_for_the_loop() -> None:
    ticks = row(5, busiest=0.5)
    found = base_latency.estimate(ticks, objective=OBJECTIVE, service=known(), last=None, now=10.0)
    assert found is not None
    # p95 of an even spread over 100..200 ms is 195 ms; 1.5 x 27 ms x 0.5 / 0.5 are queueing.
    assert found.current == pytest.approx(0.195 - 1.5 * 0.027, abs=0.001)


def after(ticks: tuple[Tick, ...], last: BaseLatency | None) -> BaseLatency | None:
    return base_latency.estimate(
        ticks, objective=OBJECTIVE, service=known(0.02), last=last, now=ticks[-1].time
    )


def test_busy_loops_do_not_update_the_base() -> None:
    last = level(0.2)
    found = after(row(5, busiest=0.65), last)
    assert found is not None
    assert (found.current, found.calm) == (0.2, 0.2)
    assert found.moved == float("-inf")


def test_the_first_base_may_come_from_busier_loops() -> None:
    found = after(row(5, busiest=0.65), None)
    assert found is not None
    assert found.current == pytest.approx(0.195 - 1.5 * 0.06 * 0.65 / 0.35, abs=0.001)
    assert after(row(5, busiest=0.75), None) is None


BUSY = {"busiest": 0.8, "arrivals": 100.0, "completed": 100.0}
SEEN = BaseReference(upstream=0.3, apart=0.275, base=0.52)


@pytest.mark.parametrize(
    ("upstream", "elsewhere", "base"),
    [
        (30.0, 2.5, 0.52),
        (34.0, 6.5, 0.52),  # fuller loops: the queue before a call is as long as that after it
        (93.0, 5.5, 1.56),  # three times as slow
        (31.5, 2.5, 0.52),  # within a tenth
        (15.0, 2.5, 0.26),
        (0.0, 20.0, 0.52),  # nothing is known of upstreams
    ],
)
def test_the_base_follows_upstreams_while_loops_are_busy(
    upstream: float, elsewhere: float, base: float
) -> None:
    last = replace(level(0.52), reference=SEEN)
    ticks = row(5, **BUSY, upstream=upstream, in_flight=upstream + elsewhere)
    found = after(ticks, last)
    assert found is not None
    assert found.current == pytest.approx(base, rel=0.01)
    assert (found.moved == ticks[-1].time) == (base != 0.52)
    assert found.calm == pytest.approx(0.52, abs=0.2), "the calm level rises slowly"


def test_the_base_returns_after_an_upstream_recovers() -> None:
    base: BaseLatency | None = replace(level(0.52), reference=SEEN)
    for second, upstream in enumerate((30, 30, 55, 80, 93, 93, 90, 60, 32, 30, 30), start=600):
        ticks = (tick(2.0 * second, **BUSY, upstream=float(upstream), in_flight=upstream + 2.5),)
        base = after(ticks, base)
        assert base is not None
        if second == 602:
            assert base.current > 0.9
            assert base.calm < 0.53, "the calm level rises slowly"
    assert base.current == 0.52


def test_the_upstream_time_is_measured_with_the_base() -> None:
    found = after(row(5, upstream=29.0, in_flight=30.0), None)
    assert found is not None
    assert found.reference is not None
    assert found.reference.upstream == pytest.approx(0.29)
    assert found.reference.apart == pytest.approx(0.28)


def test_a_restored_base_uses_the_current_upstream_time() -> None:
    found = after(row(5, **BUSY, upstream=30.0, in_flight=32.5), level(0.52))
    assert found is not None
    assert found.current == 0.52
    assert found.reference is not None
    assert found.reference.upstream == pytest.approx(0.3)


def test_the_calm_level_falls_fast_and_rises_slowly() -> None:
    ticks = row(5)
    high = level(0.5, at=0.0)
    low = level(0.1, at=0.0)
    fallen = base_latency.estimate(ticks, objective=OBJECTIVE, service=None, last=high, now=20.0)
    risen = base_latency.estimate(ticks, objective=OBJECTIVE, service=None, last=low, now=20.0)
    assert fallen is not None
    assert risen is not None
    assert fallen.calm == pytest.approx(0.195 + 0.305 * 0.368, abs=0.001)
    assert risen.calm == pytest.approx(0.1 + 0.095 * 0.033, abs=0.001)


def test_another_percentile_resets_the_base() -> None:
    p99 = LatencyObjective(percentile=99, threshold=0.8)
    found = base_latency.estimate(row(5), objective=p99, service=None, last=level(0.1), now=10.0)
    assert found is not None
    assert found.calm == found.current == pytest.approx(0.199)
