"""Failures: an outage with client retries is not growth, and real growth is not retries."""

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.sizing import samples
from unit.sizing.fleet_model import FleetModel, spec
from unit.sizing.samples import facts

from aiapi_operator.sizing.learners.failures import Failures, failing, learn
from aiapi_operator.sizing.state import Tick


def tick(at: float, arrivals: float, errors: float = 0.0, **changes: float) -> Tick:
    usual = {
        "arrivals": arrivals,
        "completed": arrivals,
        "loop": 0.01 * arrivals,
        "busiest": 0.3,
        "heaviest": 0.0025 * arrivals,
        "server_errors": errors,
    }
    return samples.tick(at, **(usual | changes))


def without_retries(*ticks: Tick) -> list[Tick]:
    """The ticks without their retries."""
    known: Failures | None = None
    kept: list[Tick] = []
    for each in ticks:
        seen = facts((*kept[-29:], each))
        known = learn(known, seen)
        assert seen.tick is not None
        assert seen.ticks[-1] is seen.tick
        kept.append(seen.tick)
    return kept


CALM = tuple(tick(2.0 * i, 100.0) for i in range(1, 11))


def test_the_worked_example_of_an_outage() -> None:
    *_, last = without_retries(*CALM, tick(22.0, 300.0, 300.0))
    assert (last.arrivals, last.retried) == (100.0, 200.0)
    assert last.loop == pytest.approx(1.0)
    assert last.failing


def test_the_worked_example_of_real_growth_with_failures() -> None:
    *_, last = without_retries(*CALM, tick(22.0, 300.0, 100.0))
    assert (last.arrivals, last.retried) == (200.0, 100.0)


def test_growth_without_failures_is_demand() -> None:
    *_, last = without_retries(*CALM, tick(22.0, 300.0))
    assert (last.arrivals, last.retried, last.failing) == (300.0, 0.0, False)


@pytest.mark.parametrize(
    ("rate", "errors", "begun"),
    [
        pytest.param(100.0, 4.0, False, id="fewer than one in twenty"),
        pytest.param(100.0, 6.0, True, id="more than one in twenty"),
        pytest.param(2.0, 2.0, False, id="four in a tick are chance"),
        pytest.param(3.0, 2.5, True, id="five in a tick are not"),
    ],
)
def test_a_few_failures_begin_nothing(rate: float, errors: float, begun: bool) -> None:
    calm = tuple(tick(2.0 * i, rate) for i in range(1, 11))
    known = samples.learned(learn, (*calm, tick(22.0, rate, errors)))
    assert known is not None
    assert (known.level is not None) == begun
    assert failing(facts(known=(known,))) == begun


def test_retries_after_the_last_failure_are_recognized() -> None:
    down = tuple(tick(20.0 + 2 * i, 300.0, 300.0) for i in range(1, 6))
    *_, after = without_retries(*CALM, *down, tick(32.0, 250.0))
    assert after.arrivals == 100.0
    *_, later = without_retries(*CALM, *down, *(tick(30.0 + 2 * i, 250.0) for i in range(1, 10)))
    assert later.arrivals == 250.0


def test_failures_end_after_fifteen_calm_seconds() -> None:
    down = tuple(tick(20.0 + 2 * i, 100.0, 50.0) for i in range(1, 6))
    calm = tuple(tick(30.0 + 2 * i, 100.0) for i in range(1, 10))
    ongoing = samples.learned(learn, (*CALM, *down, *calm[:8]))
    ended = samples.learned(learn, (*CALM, *down, *calm))
    assert failing(facts(known=(ongoing,)))
    assert not failing(facts(known=(ended,)))


def test_failures_of_busy_loops_are_not_retries() -> None:
    overload = tick(22.0, 300.0, 0.0, shed=150.0, completed=150.0, busiest=1.0)
    assert without_retries(*CALM, overload)[-1].arrivals == 300.0
    timeouts = tick(22.0, 300.0, 150.0, busiest=0.95)
    assert without_retries(*CALM, timeouts)[-1].arrivals == 300.0


def test_requests_shed_by_a_worker_limit_are_not_retries() -> None:
    refused = {"shed": 150.0, "completed": 150.0}
    limited = tick(22.0, 300.0, worker_limit=20, **refused)
    assert without_retries(*CALM, limited)[-1].arrivals == 300.0
    unknown = tick(22.0, 300.0, **refused)
    assert without_retries(*CALM, unknown)[-1].arrivals == 150.0, "the cause is unknown"


def test_successful_requests_always_count() -> None:
    down = tick(22.0, 300.0, 300.0)
    back = tick(24.0, 300.0, 50.0, busiest=0.95)
    assert without_retries(*CALM, down, back)[-1].arrivals == 250.0


@pytest.mark.parametrize(("good", "demand"), [(66.0, 66.0), (54.0, 20.0)])
def test_busy_loops_are_the_limit_if_a_fifth_succeeds(good: float, demand: float) -> None:
    calm = tuple(tick(2.0 * i, 20.0) for i in range(1, 11))
    down = tick(22.0, 300.0, 300.0)
    back = tick(24.0, 300.0, 300.0 - good, busiest=0.95)
    assert without_retries(*calm, down, back)[-1].arrivals == demand


@pytest.mark.parametrize(("errors", "unused"), [(19.0, False), (21.0, True)])
def test_a_tick_is_not_used_for_c_if_a_fifth_fails(errors: float, unused: bool) -> None:
    assert without_retries(*CALM, tick(22.0, 100.0, errors))[-1].failing is unused


def test_constant_failures_are_the_usual_level() -> None:
    bots = tuple(tick(2.0 * i, 100.0, 20.0) for i in range(1, 30))
    *_, grown = without_retries(*bots, tick(60.0, 300.0, 60.0))
    assert grown.arrivals == 300.0


def test_a_lasting_share_becomes_the_usual_one() -> None:
    hour = tuple(tick(2.0 * i, 100.0, 10.0 if i > 10 else 0.0) for i in range(1, 900))
    known = samples.learned(learn, hour)
    assert known is not None
    assert known.usual == pytest.approx(0.1 * 0.627, abs=0.002)


streams = st.lists(
    st.tuples(st.floats(0, 500), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)),
    min_size=1,
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(streams)
def test_every_request_that_can_succeed_is_counted(stream: list[tuple[float, ...]]) -> None:
    """Demand is between the arrivals less all recent failures, and the arrivals."""
    ticks = [
        tick(2.0 * i, rate, rate * failed, shed=rate * (1 - failed) * shed, busiest=busiest)
        for i, (rate, failed, shed, busiest) in enumerate(stream, start=1)
    ]
    out = without_retries(*ticks)
    back = int(15.0 / 2) + 1
    for index, (before, after) in enumerate(zip(ticks, out, strict=True)):
        reach = ticks[max(0, index - back) : index + 1]
        failed = max(each.server_errors + each.shed + each.cancelled for each in reach)
        assert after.arrivals + after.retried == pytest.approx(before.arrivals)
        assert before.arrivals - failed - 1e-6 <= after.arrivals <= before.arrivals + 1e-6


@cache
def _calm() -> FleetModel:
    model = FleetModel(spec())
    model.rate = 60.0
    model.run(200)
    return model


def most_workers(model: FleetModel, seconds: float) -> int:
    return max(d.workers * d.replicas for _, d in model.run(seconds))


def test_an_outage_with_retries_adds_no_worker() -> None:
    model = _calm().copy()
    before = model.last.workers * model.last.replicas
    model.outage, model.retries = True, 1
    assert most_workers(model, 90) == before
    assert model.last.load.arrivals_per_second == pytest.approx(120, rel=0.1)
    assert "excluded as retries of failures" in model.last.message
    model.outage = False
    assert most_workers(model, 60) == before


def test_retries_that_fill_the_loops_do_not_multiply_the_fleet() -> None:
    """Four tries of each request exceed the capacity of the fleet, and all of them fail."""
    model = _calm().copy()
    before, pods = model.last.workers * model.last.replicas, model.last.replicas
    model.outage, model.retries = True, 3
    assert most_workers(model, 90) <= before + pods
    assert model.last.load.arrivals_per_second == pytest.approx(240, rel=0.1)


def test_an_overload_still_scales() -> None:
    model = _calm().copy()
    before = model.last.workers * model.last.replicas
    model.rate = 240.0
    assert most_workers(model, 20) >= 2 * before
