"""Threads and other limits of a worker: their need and their diagnoses."""

from dataclasses import replace

import pytest
from aiapi_operator.sizing.limits import ThreadPoolNeed
from hypothesis import given
from hypothesis import strategies as st
from unit.sizing.fleet_model import FleetModel, condition, spec
from unit.sizing.test_estimators import pod as sample
from unit.sizing.test_estimators import tick

from aiapi_operator.sizing import limits
from aiapi_operator.sizing.decide import decide
from aiapi_operator.sizing.decision import Binding
from aiapi_operator.sizing.inputs import Bounds, PodSample, ThreadPool
from aiapi_operator.sizing.state import ThreadUse, Tick


def pool(busy: float, waiting: float = 0.0, *, limit: int = 40, name: str = "anyio") -> ThreadPool:
    return ThreadPool(name=name, limit=limit, busy_seconds=busy, waiting_seconds=waiting)


def pods(
    *changes: tuple[ThreadPool | None, ThreadPool | None], **fields: object
) -> list[tuple[PodSample, PodSample | None]]:
    """Two samples per pod, 2 s apart; None is a pod without thread data."""
    return [
        (
            sample(12.0, threads=None if after is None else (after,), **fields),
            sample(10.0, threads=None if before is None else (before,)),
        )
        for before, after in changes
    ]


# From counters to rates


@pytest.mark.parametrize(
    ("changes", "ready", "busy", "waiting"),
    [
        pytest.param([(pool(10), pool(30, 4))], 1, 10.0, 2.0, id="difference over time"),
        pytest.param([(pool(0), pool(20)), (pool(0), pool(40))], 2, 30.0, 0.0, id="pods add up"),
        pytest.param([(pool(0), pool(20)), (pool(0), pool(40))], 3, 45.0, 0.0, id="one is silent"),
        pytest.param([(pool(0), pool(20)), (None, None)], 2, 20.0, 0.0, id="one has no data"),
        pytest.param([(pool(0), pool(20)), (None, pool(9))], 2, 20.0, 0.0, id="one has a new pool"),
        pytest.param([(pool(9), pool(5)), (pool(0), pool(20))], 2, 20.0, 0.0, id="one decreased"),
    ],
)
def test_threads_of_a_fleet(
    changes: list[tuple[ThreadPool, ThreadPool]], ready: int, busy: float, waiting: float
) -> None:
    (use,), limit = limits.measure(pods(*changes), ready=ready)
    assert (use.name, use.limit, limit) == ("anyio", 40, 0)
    assert (use.busy, use.waiting) == (pytest.approx(busy), pytest.approx(waiting))


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), 1e300, -1.0])
def test_invalid_thread_counters_are_ignored(seconds: float) -> None:
    odd = pods((pool(0), pool(seconds)), (pool(0), pool(2, seconds)), (pool(0), pool(20)))
    (use,), _ = limits.measure(odd, ready=3)
    assert use.busy == pytest.approx(30.0)


def test_pods_without_thread_data_have_no_threads() -> None:
    assert limits.measure(pods((None, None)), ready=1) == ((), 0)


def test_the_smallest_limit_of_a_fleet_applies() -> None:
    mixed = pods((pool(0), pool(2, limit=60)), (pool(0), pool(2, limit=20)))
    assert limits.measure(mixed, ready=2)[0][0].limit == 20


def test_a_limit_equal_to_the_pool_is_not_a_second_limit() -> None:
    threads = pods((pool(0, limit=8), pool(2, limit=8)), worker_limit=8)
    assert limits.measure(threads, ready=1)[1] == 0
    assert limits.measure(pods((None, None), worker_limit=8), ready=1)[1] == 8


# What is needed


def row(busy: float, waiting: float = 0.0, **changes: float) -> list[Tick]:
    use = ThreadUse(name="anyio", limit=40, busy=busy, waiting=waiting)
    usual = {"workers": 2.0, "arrivals": 100.0, "completed": 100.0, **changes}
    return [replace(tick(2.0 * i, **usual), threads=(use,)) for i in (1, 2, 3)]


def asked(
    ticks: list[Tick], *, cost: float | None = 0.3, level: float = 100.0, failing: bool = False
) -> ThreadPoolNeed:
    costs = () if cost is None else (("anyio", cost),)
    ticks = [replace(each, server_errors=60.0 * failing) for each in ticks]
    found = limits.threads(ticks, costs, level=level)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("threads", "part"), [(1, 0.37), (2, 0.55), (4, 0.68), (9, 0.79), (10, 0.8), (40, 0.8)]
)
def test_small_pools_need_more_spare_threads(threads: int, part: float) -> None:
    assert limits.planned_share(threads) == pytest.approx(part, abs=0.005)


@pytest.mark.parametrize(
    ("found", "needed"),
    [
        pytest.param(asked(row(30.0)), 30.0, id="as many as are busy"),
        pytest.param(asked(row(30.0), cost=None), 30.0, id="thread time is unknown"),
        pytest.param(asked(row(80.0, 500.0), level=400.0), 120.0, id="full: arrivals x cost"),
        pytest.param(asked(row(30.0), level=400.0), 33.5, id="not more than are busy and wait"),
        pytest.param(asked(row(90.0), level=100.0), 84.0, id="calls take longer than before"),
        pytest.param(asked(row(80.0, 500.0), failing=True), 30.0, id="calls hang and fail"),
    ],
)
def test_needed_threads(found: ThreadPoolNeed, needed: float) -> None:
    assert found.needed == pytest.approx(needed, abs=0.5)


def test_the_pool_that_needs_the_most_workers_applies() -> None:
    small = ThreadUse(name="asyncio", limit=5, busy=8.0, waiting=0.0)
    ticks = [replace(each, threads=(*each.threads, small)) for each in row(30.0)]
    found = asked(ticks)
    assert found.name == "asyncio"
    assert found.utilization == pytest.approx(0.8)
    assert found.workers == pytest.approx(8 / (5 * 0.717), abs=0.01)


def test_thread_time_is_not_learned_from_failures() -> None:
    assert limits.learn(row(30.0), ()) == (("anyio", pytest.approx(0.3)),)
    known = (("anyio", 0.3),)
    hung = [replace(each, server_errors=10.0) for each in row(80.0, completed=10.0)]
    assert limits.learn(hung, known) == known
    assert limits.learn([*hung, *row(30.0)], ()) == (("anyio", pytest.approx(0.3)),)
    assert limits.learn(row(30.0, completed=1.0), known) == known
    slow = row(90.0, server_errors=10.0, cancelled=5.0)
    assert limits.learn(slow, known) == (("anyio", pytest.approx(0.9)),), "a few always fail"


def test_shed_requests_would_be_in_flight() -> None:
    assert limits.unshed_in_flight(row(0.0, shed=20.0), 50.0) == pytest.approx(62.5)
    assert limits.unshed_in_flight(row(0.0), 50.0) == 50.0
    assert limits.unshed_in_flight(row(0.0, shed=98.0), 50.0) == 75.0, "immediate retries"
    assert limits.unshed_in_flight(row(0.0, shed=100.0), 50.0) == 50.0, "all were shed"
    again = row(0.0, shed=50.0, arrivals=100.0, retried=50.0)
    assert limits.unshed_in_flight(again, 50.0) == 50.0, "shed requests were retried"


@pytest.mark.parametrize(
    ("busy", "loop", "reached"),
    [
        pytest.param(32.0, 0.2, 0.2, id="threads run out at 20 %"),
        pytest.param(32.0, 1.2, 0.65, id="loops are at their target before"),
        pytest.param(2.0, 0.01, 0.65, id="hardly any thread is busy"),
    ],
)
def test_threads_limit_the_loop_utilization(busy: float, loop: float, reached: float) -> None:
    ticks = row(busy, loop=loop)
    assert limits.max_loop_utilization(ticks, 0.65) == pytest.approx(reached)


def test_without_threads_loops_reach_their_target() -> None:
    assert limits.max_loop_utilization([tick(2.0)], 0.65) == 0.65


# The whole right-sizer


def sync(*, threads: int = 40, tracked: bool = True, **changes: object) -> FleetModel:
    """Plain ``def`` endpoints: 0.3 s in a thread, hardly any loop time."""
    model = FleetModel(spec(**changes))
    model.service = 0.001
    model.threads = threads
    model.tracked = tracked
    return model


def test_threads_bind_while_loops_are_idle() -> None:
    model = sync()
    model.rate = 400.0
    model.run(90)
    # 400 rps x 0.3 s hold 120 threads, at 32 (80 % of 40) a worker 4 workers.
    assert model.last.need.binding is Binding.THREADS
    assert model.last.need.workers == 4
    message = model.last.message
    assert message.startswith(
        "4 workers needed: 120 busy threads (anyio) expected / (40 per worker"
    )
    assert "(40 per worker x 0.8)" in message
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


def test_a_limit_of_the_pods_binds_like_the_users_limit() -> None:
    model = FleetModel(spec())
    model.limit, model.rate = 5, 100.0
    model.run(60)
    assert model.last.need.binding is Binding.CONCURRENCY
    assert "requests in flight expected / (5 per worker x 0.8)" in model.last.message


# Diagnoses


def starved(*, tracked: bool = True) -> FleetModel:
    """Calls wait for a thread, and no worker may be added.

    The model reuses a thread one step after it was released: 60 of 80 are always busy.
    """
    one = Bounds(min=1, max=1)
    model = sync(workers=one, replicas=Bounds(min=2, max=2), tracked=tracked)
    model.rate = 200.0
    model.run(60)
    model.rate = 290.0
    model.run(30)
    return model


def slow(*, threads: int, tracked: bool = True) -> FleetModel:
    """The upstream takes four times as long, and there are threads for that."""
    model = sync(threads=threads, tracked=tracked)
    model.rate = 100.0
    model.run(60)
    model.upstream = 1.2
    model.run(60)
    return model


@pytest.mark.parametrize(
    ("model", "status", "reason", "parts"),
    [
        pytest.param(
            starved,
            False,
            "ThreadsBusy",
            (
                "because calls wait for a thread: 60 threads of the anyio pool are busy (40 per",
                "calls are waiting. More workers add threads. Calls spend 100 % of their time",
                "waiting for upstreams. To need fewer workers, raise the thread limit",
            ),
            id="calls wait for threads",
        ),
        pytest.param(
            lambda: starved(tracked=False),
            False,
            "ThreadsBusy",
            ("calls are waiting. More workers add threads. To need fewer workers, raise the",),
            id="calls that are not measured wait for threads",
        ),
        pytest.param(
            lambda: slow(threads=40),
            True,
            "UpstreamSlow",
            (
                "Workers are added for the threads that calls hold, but calls do not get faster",
                ": check the upstream's latency",
            ),
            id="slow calls hold threads",
        ),
        pytest.param(
            lambda: slow(threads=0),
            True,
            "UpstreamSlow",
            ("More workers or pods would not help: check the upstream's latency",),
            id="slow calls are awaited",
        ),
        pytest.param(
            lambda: slow(threads=40, tracked=False),
            False,
            "WaitUnexplained",
            ("Most requests are in a thread (anyio): check the calls made there.",),
            id="slow calls in threads are not measured",
        ),
        pytest.param(
            lambda: slow(threads=0, tracked=False),
            False,
            "WaitUnexplained",
            ("Check locks, thread pools and clients that are not instrumented.",),
            id="nothing is measured",
        ),
    ],
)
def test_the_diagnosis_of_a_raised_latency(
    model: object, status: bool, reason: str, parts: tuple[str, ...]
) -> None:
    assert callable(model)
    last = model().last
    found = next(each for each in last.conditions if each.type == "DependencyBound")
    assert (found.status, found.reason) == (status, reason)
    for part in parts:
        assert part in found.message


def test_waiting_for_a_thread_is_not_part_of_the_base_latency() -> None:
    model = starved()
    assert model.last.load.latency is not None
    assert model.last.load.latency > 1.0
    status, message = condition(model.last, "ObjectiveInfeasible")
    assert status is False, message


# Whatever the numbers are

wild = st.floats(allow_nan=True, allow_infinity=True) | st.floats(-1e3, 1e6)


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
        said = (ThreadPool(name="x", limit=limit, busy_seconds=busy, waiting_seconds=waiting),)
        fleet = replace(fleet, pods=tuple(replace(pod, threads=said) for pod in fleet.pods))
        decision = decide(model.spec, fleet, state, model.now)
        assert 1 <= decision.workers <= 8
        assert 2 <= decision.replicas <= 20
        state = decision.state


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
    threads = (ThreadUse(name="anyio", limit=limit, busy=busy, waiting=waiting),)
    ticks = [replace(each, threads=threads) for each in row(0.0)]
    few, many = (asked(ticks, cost=cost, level=level * times) for times in (1.0, more))
    assert 0 <= few.needed <= many.needed + 1e-9
    assert few.workers <= many.workers + 1e-9
