"""Threads of a fleet, from counters to rates."""

import pytest
from unit.sizing.samples import pod as sample

from aiapi_operator.sizing import thread_use
from aiapi_operator.sizing.inputs import PodSample, ThreadPool


def pool(busy: float, waiting: float = 0.0, *, limit: int = 40) -> ThreadPool:
    return ThreadPool(name="anyio", limit=limit, busy_seconds=busy, waiting_seconds=waiting)


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
    (use,), limit = thread_use.measure(pods(*changes), ready=ready)
    assert (use.name, use.limit, limit) == ("anyio", 40, 0)
    assert (use.busy, use.waiting) == (pytest.approx(busy), pytest.approx(waiting))


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), 1e300, -1.0])
def test_invalid_thread_counters_are_ignored(seconds: float) -> None:
    odd = pods((pool(0), pool(seconds)), (pool(0), pool(2, seconds)), (pool(0), pool(20)))
    (use,), _ = thread_use.measure(odd, ready=3)
    assert use.busy == pytest.approx(30.0)


def test_pods_without_thread_data_have_no_threads() -> None:
    assert thread_use.measure(pods((None, None)), ready=1) == ((), 0)


def test_the_smallest_limit_of_a_fleet_applies() -> None:
    mixed = pods((pool(0), pool(2, limit=60)), (pool(0), pool(2, limit=20)))
    assert thread_use.measure(mixed, ready=2)[0][0].limit == 20


def test_a_limit_equal_to_the_pool_is_not_a_second_limit() -> None:
    threads = pods((pool(0, limit=8), pool(2, limit=8)), worker_limit=8)
    assert thread_use.measure(threads, ready=1)[1] == 0
    assert thread_use.measure(pods((None, None), worker_limit=8), ready=1)[1] == 8
