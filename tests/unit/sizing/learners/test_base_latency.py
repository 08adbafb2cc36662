"""Base latency: measured at idle loops, and moved with the upstreams."""

from dataclasses import replace
from math import inf

import pytest
from unit.sizing.fleet_model import FleetModel, spec
from unit.sizing.samples import facts, learned, row, tick

from aiapi_operator.sizing.inputs import LatencyObjective
from aiapi_operator.sizing.learners.base_latency import (
    LEARNER,
    BaseLatency,
    UpstreamReference,
    learn,
    restore,
)
from aiapi_operator.sizing.learners.service_demand import ServiceDemand
from aiapi_operator.sizing.state import ThreadUse, Tick


def level(now: float, calm: float | None = None, at: float = 0.0) -> BaseLatency:
    return BaseLatency(percentile=95, current=now, calm=calm or now, time=at)


def after(
    ticks: tuple[Tick, ...], last: BaseLatency | None, *, cost: float | None = 0.02
) -> BaseLatency | None:
    service = () if cost is None else (ServiceDemand(seconds=cost, requests=5000),)
    return learn(last, facts(ticks, known=service))


def test_the_base_excludes_queueing_for_the_loop() -> None:
    found = after(row(5, busiest=0.5), None, cost=0.009)
    assert found is not None
    # p95 of an even spread over 100..200 ms is 195 ms; 1.5 x 27 ms x 0.5 / 0.5 are queueing.
    assert found.current == pytest.approx(0.195 - 1.5 * 0.027, abs=0.001)


def test_busy_loops_do_not_update_the_base() -> None:
    found = after(row(5, busiest=0.65), level(0.2))
    assert found is not None
    assert (found.current, found.calm, found.moved) == (0.2, 0.2, -inf)


def test_the_first_base_may_come_from_busier_loops() -> None:
    found = after(row(5, busiest=0.65), None)
    assert found is not None
    assert found.current == pytest.approx(0.195 - 1.5 * 0.06 * 0.65 / 0.35, abs=0.001)
    assert after(row(5, busiest=0.75), None) is None


def test_a_backlog_disturbs_the_following_ticks() -> None:
    slow = {"bounds": (0.1, 0.2, 0.9), "counts": (0, 0, 200, 0)}
    calm = {"bounds": (0.1, 0.2, 0.9), "counts": (0, 200, 0, 0)}
    backlog = (tick(4.0, busiest=0.9, **slow), tick(6.0, **slow), tick(10.0, **slow))
    found = after((tick(2.0, **calm), *backlog, tick(12.0, **calm)), None, cost=None)
    assert found is not None
    assert found.current == pytest.approx(0.195)


@pytest.mark.parametrize(
    "disturbance",
    [
        {"contended": True},
        {"threads": (ThreadUse(name="anyio", limit=40, busy=80.0, waiting=9.0),)},
    ],
)
def test_waits_for_cpu_and_threads_are_not_part_of_the_base(disturbance: dict) -> None:
    waited = tick(4.0, **disturbance)
    assert after((waited, tick(6.0)), None) is None
    assert after((waited, tick(12.0)), None) is not None, "6 s later"
    assert learn(level(0.2), facts((tick(2.0, contended=True),))) == level(0.2)


BUSY = {"busiest": 0.8}
SEEN = UpstreamReference(upstream=0.3, apart=0.275, base=0.52)


@pytest.mark.parametrize(
    ("upstream", "elsewhere", "base"),
    [
        (30.0, 2.5, 0.52),
        (34.0, 6.5, 0.52),  # the worked example: fuller loops
        (93.0, 5.5, 1.56),  # the worked example: three times as slow
        (32.7, 2.5, 0.52),  # within a tenth
        (33.3, 2.5, 0.577),
        (27.3, 2.5, 0.52),
        (26.7, 2.5, 0.463),
        (15.0, 2.5, 0.26),
        (0.0, 20.0, 0.52),  # nothing is known of upstreams
    ],
)
def test_the_base_follows_upstreams_while_loops_are_busy(
    upstream: float, elsewhere: float, base: float
) -> None:
    ticks = row(5, **BUSY, upstream=upstream, in_flight=upstream + elsewhere)
    found = after(ticks, replace(level(0.52), reference=SEEN))
    assert found is not None
    assert found.current == pytest.approx(base, rel=0.01)
    assert (found.current == 0.52) == (base == 0.52)
    assert (found.moved == ticks[-1].time) == (base != 0.52)
    assert found.calm == pytest.approx(0.52, abs=0.2), "the calm level rises slowly"


def test_the_base_returns_after_an_upstream_recovers() -> None:
    base: BaseLatency | None = replace(level(0.52, at=1200.0), reference=SEEN)
    for second, upstream in enumerate((30, 30, 55, 80, 93, 93, 90, 60, 32, 30, 30), start=200):
        ticks = (tick(6.0 * second, **BUSY, upstream=float(upstream), in_flight=upstream + 2.5),)
        base = after(ticks, base)
        assert base is not None
        if second == 202:
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
    ticks = row(10)
    fallen = after(ticks, level(0.5), cost=None)
    risen = after(ticks, level(0.1), cost=None)
    assert fallen is not None
    assert risen is not None
    assert fallen.calm == pytest.approx(0.195 + 0.305 * 0.368, abs=0.001)
    assert risen.calm == pytest.approx(0.1 + 0.095 * 0.0328, abs=0.0001)


def test_another_percentile_resets_the_base() -> None:
    p99 = spec(objective=LatencyObjective(percentile=99, threshold=0.8))
    found = learn(level(0.1), facts(row(5), user_spec=p99))
    assert found is not None
    assert found.calm == found.current == pytest.approx(0.199)


def test_few_requests_give_no_base() -> None:
    assert learned(learn, row(1, counts=(0, 49, 0))) is None
    assert learned(learn, row(1, counts=(0, 50, 0))) is not None


def test_the_calm_level_is_restored() -> None:
    found = restore(LEARNER.checkpoint(level(1.2, calm=0.45), {}))
    assert found == level(0.45, at=inf)


def test_a_checkpoint_that_hardly_moved_is_not_written_again() -> None:
    assert LEARNER.checkpoint(level(0.48), {"baseLatency": "450ms"})["baseLatency"] == "450ms"
    assert LEARNER.checkpoint(level(0.50), {"baseLatency": "450ms"})["baseLatency"] == "500ms"


@pytest.mark.parametrize(
    "saved",
    [
        {"baseLatency": "450ms"},
        {"percentile": "p95"},
        {"baseLatency": 450, "percentile": "p95"},
        {"baseLatency": "0s", "percentile": "p95"},
        {"baseLatency": "2h", "percentile": "p95"},
        {"baseLatency": "450ms", "percentile": "none"},
        {"baseLatency": "450ms", "percentile": "pnan"},
    ],
)
def test_a_senseless_checkpoint_is_ignored(saved: dict) -> None:
    assert restore(saved) is None


def test_a_slow_upstream_across_a_restart_still_counts_as_slow() -> None:
    model = FleetModel(spec())
    model.run(60)
    calm = model.state.memory[BaseLatency]
    assert calm.calm == pytest.approx(0.45, abs=0.05)
    model.restart_operator()
    model.upstream = 0.6
    model.run(30)
    found = model.state.memory[BaseLatency]
    assert found.calm < 1.1 * calm.calm
    assert found.current > 1.5 * calm.calm
    assert "DependencyBound" in {one.type for one in model.last.conditions if one.status}
