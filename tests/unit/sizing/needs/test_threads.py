"""Threads: those that are busy or needed, over the planned share of a worker's threads."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from unit.sizing.fleet_model import FleetModel, spec
from unit.sizing.samples import facts, row

from aiapi_operator.sizing.decide import decide
from aiapi_operator.sizing.decision import Binding
from aiapi_operator.sizing.inputs import Bounds, ThreadPool
from aiapi_operator.sizing.learners.demand import Demand
from aiapi_operator.sizing.learners.thread_time import ThreadTime
from aiapi_operator.sizing.needs.threads import ThreadPoolLoad, busiest_pool, need
from aiapi_operator.sizing.state import ThreadUse


def pool(busy: float, waiting: float = 0.0, *, limit: int = 40, name: str = "anyio") -> ThreadUse:
    return ThreadUse(name=name, limit=limit, busy=busy, waiting=waiting)


def load(
    *pools: ThreadUse, cost: float | None = 0.3, level: float = 100.0, failing: bool = False
) -> ThreadPoolLoad:
    """The pool that binds, with 100 rps on two workers that hold a thread for ``cost`` each."""
    known = [Demand(level=level), ThreadTime(seconds={} if cost is None else {"anyio": cost})]
    ticks = row(3, workers=2.0, threads=pools, server_errors=60.0 * failing)
    found = busiest_pool(facts(ticks, known=known))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("found", "needed"),
    [
        pytest.param(load(pool(30.0)), 30.0, id="as many as are busy"),
        pytest.param(load(pool(30.0), cost=None), 30.0, id="the thread time is unknown"),
        pytest.param(load(pool(80.0, 500.0), level=400.0), 120.0, id="full: arrivals x cost"),
        pytest.param(load(pool(30.0), level=400.0), 33.5, id="not more than are busy and wait"),
        pytest.param(load(pool(90.0)), 84.0, id="calls take longer than before"),
        pytest.param(load(pool(80.0, 500.0), failing=True), 30.0, id="calls hang and fail"),
    ],
)
def test_the_threads_that_a_load_needs(found: ThreadPoolLoad, needed: float) -> None:
    assert found.needed == pytest.approx(needed, abs=0.5)


@pytest.mark.parametrize(
    ("use", "workers", "survivors", "reason"),
    [
        pytest.param(
            pool(120.0),
            3.75,
            3.0,
            "120 busy threads (anyio) expected / (40 per worker x 0.8)",
            id="a large pool",
        ),
        pytest.param(
            pool(8.0, limit=4),
            2.92,
            2.0,
            "8 busy threads (anyio) expected / (4 per worker x 0.68)",
            id="a small pool needs more spare threads",
        ),
        pytest.param(
            pool(1.0, limit=1),
            2.72,
            1.0,
            "1 busy threads (anyio) expected / (1 per worker x 0.37)",
            id="a pool of one thread",
        ),
    ],
)
def test_the_need_for_threads(
    use: ThreadUse, workers: float, survivors: float, reason: str
) -> None:
    found = need(facts(row(3, threads=(use,))), 3.0)
    assert found is not None
    assert (found.binding, found.reason) == (Binding.THREADS, reason)
    assert found.workers == pytest.approx(workers, abs=0.01)
    assert found.survivors == pytest.approx(survivors)


def test_threads_grow_with_the_arrivals() -> None:
    found = need(facts(row(3, threads=(pool(32.0),)), known=[Demand(level=100.0, slope=1.0)]), 35.0)
    assert found is not None
    assert found.workers == pytest.approx(1.35 * 1.03)


def test_without_threads_nothing_is_needed() -> None:
    assert need(facts(row()), 3.0) is None


def test_the_pool_that_needs_the_most_workers_applies() -> None:
    found = load(pool(30.0), pool(8.0, limit=5, name="asyncio"))
    assert found.name == "asyncio"
    assert found.utilization == pytest.approx(0.8)
    assert found.workers == pytest.approx(8 / (5 * 0.717), abs=0.01)


# The whole right-sizer


def sync(*, threads: int = 40, **changes: object) -> FleetModel:
    """Plain ``def`` endpoints: 0.3 s in a thread, hardly any loop time."""
    model = FleetModel(spec(**changes))
    model.service = 0.001
    model.threads = threads
    return model


def test_threads_bind_while_loops_are_idle() -> None:
    model = sync()
    model.rate = 400.0
    model.run(90)
    # 400 rps x 0.3 s hold 120 threads, 124 with headroom; at 32 per worker (80 % of 40) 4 workers.
    assert (model.last.need.binding, model.last.need.workers) == (Binding.THREADS, 4)
    expected = "4 workers needed: 124 busy threads (anyio) expected / (40 per worker x 0.8)"
    assert model.last.message.startswith(expected)
    utilization = model.last.load.threads_utilization
    assert utilization == pytest.approx(120 / 40 / model.last.workers / model.last.replicas)


def test_a_step_gets_its_threads_within_seconds() -> None:
    model = sync(workers=Bounds(min=1, max=16))
    model.rate = 150.0
    model.run(120)
    assert model.last.need.workers == 2
    model.rate = 600.0
    model.run(6)
    assert model.last.need.workers >= 5
    model.run(20)
    assert model.last.need.workers in (6, 7), "no more than the load holds, whatever has queued"


@pytest.mark.parametrize(("threads", "more"), [(40, True), (0, False)])
def test_a_slower_upstream_holds_threads_but_no_loops(threads: int, more: bool) -> None:
    model = sync(threads=threads)
    model.rate = 400.0
    model.run(90)
    before = model.last.workers * model.last.replicas
    model.upstream = 0.9
    model.run(60)
    after = model.last.workers * model.last.replicas
    assert (after >= 11) if more else (after == before)


def test_calls_that_hang_in_an_outage_add_no_workers() -> None:
    model = sync(replicas=Bounds(min=4, max=20))
    model.rate = 300.0
    model.run(120)
    before = model.last.workers * model.last.replicas
    model.outage, model.upstream = True, 2.0
    seen = model.run(120)
    assert max(d.workers * d.replicas for _, d in seen) <= 1.5 * before


def test_older_images_need_no_threads() -> None:
    model = sync(threads=0)
    model.rate = 400.0
    model.run(60)
    assert model.last.need.binding is Binding.FLOOR
    assert model.last.load.threads_utilization is None


wild = st.floats(allow_nan=True, allow_infinity=True) | st.floats(-1e3, 1e6)


@pytest.mark.property
@given(st.lists(st.tuples(wild, wild), min_size=2, max_size=4), st.integers(-1, 100))
def test_threads_of_any_kind_stay_within_the_bounds(
    counters: list[tuple[float, float]], limit: int
) -> None:
    model = sync(threads=0)
    model.run(6)
    state = model.state
    for busy, waiting in counters:
        model.serve(2)
        fleet = model.fleet()
        threads = (ThreadPool(name="x", limit=limit, busy_seconds=busy, waiting_seconds=waiting),)
        fleet = replace(
            fleet, pods=tuple(structs.replace(pod, threads=threads) for pod in fleet.pods)
        )
        decision = decide(model.spec, fleet, state, model.now)
        assert 1 <= decision.workers <= 8
        assert 2 <= decision.replicas <= 20
        state = decision.state


@pytest.mark.property
@given(
    st.tuples(st.floats(0, 500), st.floats(0, 500), st.integers(1, 100)),
    st.floats(0.01, 5),
    st.floats(0, 500),
    st.floats(1, 4),
)
def test_more_arrivals_never_need_fewer_threads(
    use: tuple[float, float, int], cost: float, level: float, more: float
) -> None:
    busy, waiting, limit = use
    threads = pool(busy, waiting, limit=limit)
    few, many = (load(threads, cost=cost, level=level * times) for times in (1.0, more))
    assert 0 <= few.needed <= many.needed + 1e-9
    assert few.workers <= many.workers + 1e-9
