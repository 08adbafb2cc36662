import asyncio
from threading import Event
from types import SimpleNamespace

import anyio
import anyio.to_thread
import pytest

from aiapi_runtime.telemetry import stats
from aiapi_runtime.telemetry.layout import GAUGES, NUMBERS, POOLS, Cell, ThreadCell
from aiapi_runtime.telemetry.threads import AnyioLimiterPool, CountingExecutor


async def test_an_executor_measures_running_and_waiting_calls_exactly() -> None:
    pool = CountingExecutor(2, "test")
    gate = Event()
    loop = asyncio.get_running_loop()
    began = loop.time()
    calls = [loop.run_in_executor(pool, gate.wait, 10) for _ in range(5)]
    async with asyncio.timeout(5):
        while pool.read(0).busy < 2:  # noqa: ASYNC110 - in other threads
            await asyncio.sleep(0.001)
    now = pool.read(0)
    assert (now.limit, now.busy, now.waiting) == (2, 2, 3)
    calls[4].cancel()
    # Long enough to be measured; the call returns in the loop's next iteration.
    await asyncio.sleep(0.05)
    assert pool.read(0).waiting == 2
    gate.set()
    await asyncio.gather(*calls[:4])
    passed = loop.time() - began
    end = pool.read(0)
    assert (end.busy, end.waiting) == (0, 0)
    assert 0.1 <= end.busy_seconds <= 2 * passed
    assert 0.1 <= end.waiting_seconds <= 3 * passed
    pool.shutdown()
    with pytest.raises(RuntimeError):
        pool.submit(gate.wait)
    assert pool.read(0).waiting == 0


async def test_a_failed_call_frees_its_thread() -> None:
    pool = CountingExecutor(1, "test")

    def fail() -> None:
        raise ValueError("wanted")

    with pytest.raises(ValueError, match="wanted"):
        await asyncio.get_running_loop().run_in_executor(pool, fail)
    assert pool.read(0)[1:3] == (0, 0)
    pool.shutdown()


async def test_a_limiter_is_sampled() -> None:
    limiter = anyio.CapacityLimiter(2)
    watch = AnyioLimiterPool(limiter, 10.0)
    gate = Event()
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(lambda: anyio.to_thread.run_sync(gate.wait, 10, limiter=limiter))
        async with asyncio.timeout(5):
            while limiter.statistics().tasks_waiting == 0:  # noqa: ASYNC110 - of anyio's own
                await asyncio.sleep(0.001)
        assert watch.read(10.5) == (2, 2, 1, 1.0, 0.5)
        gate.set()
    assert watch.read(11.0) == (2, 0, 0, 1.0, 0.5)


def test_an_infinite_limiter_has_no_limit() -> None:
    endless = SimpleNamespace(borrowed_tokens=3, tasks_waiting=0, total_tokens=float("inf"))
    watch = AnyioLimiterPool(SimpleNamespace(statistics=lambda: endless), 0.0)
    assert watch.read(1.0) == (0, 3, 0, 3.0, 0.0)


def row(name: str, *numbers: float) -> list[float]:
    found = [0.0] * NUMBERS
    start = Cell.THREADS + POOLS.index(name) * len(ThreadCell)
    found[start : start + len(numbers)] = numbers
    return found


def test_pools_of_workers_are_summed_except_for_the_limit() -> None:
    rows = [row("anyio", 40, 40, 12, 90.5, 3.25), row("anyio", 40, 10, 0, 9.5, 0.75)]
    total = [sum(column) for column in zip(*rows, strict=True)]
    found = stats.thread_pools(total, rows)
    assert found == {
        "anyio": stats.ThreadPoolStats(
            limit=40, busy=50, waiting=12, busy_seconds=100.0, waiting_seconds=4.0
        )
    }


def test_an_unused_pool_is_not_reported() -> None:
    unused = row("wsgi", 10, 0, 0, 0.0, 0.0)
    assert stats.thread_pools(unused, [unused]) == {}


def test_seconds_of_departed_workers_stay_and_busy_threads_do_not() -> None:
    assert {
        Cell.THREADS + each for each in (ThreadCell.LIMIT, ThreadCell.BUSY, ThreadCell.WAITING)
    } <= set(GAUGES)
    assert Cell.THREADS + ThreadCell.BUSY_SECONDS not in GAUGES
