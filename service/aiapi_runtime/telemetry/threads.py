"""How many threads of a worker's pools are busy, and how many calls wait for one.

Calls beyond the number of threads wait while the loop is idle and no upstream is called: no other
number shows it. Three pools are known: anyio's default limiter, which FastAPI and Starlette use for
plain `def` endpoints (40 per worker unless the app changes it); asyncio's default executor, for
`asyncio.to_thread`; and the pool of `--wsgi`. The executors count exactly. anyio's limiter is
sampled with each heartbeat, ten times a second.
"""

import asyncio
import math
import os
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from time import monotonic
from typing import Any, NamedTuple, Protocol, TypeVar

from aiapi_runtime.telemetry.layout import POOLS, Cell, ThreadCell

_T = TypeVar("_T")


class _PoolReading(NamedTuple):
    """In the order of `ThreadCell`."""

    limit: float
    busy: float
    waiting: float
    busy_seconds: float
    waiting_seconds: float


class _Pool(Protocol):
    def read(self, now: float) -> _PoolReading: ...


class CountingExecutor(ThreadPoolExecutor):
    """A thread pool that measures how long its threads were busy and how long calls waited."""

    def __init__(self, threads: int, prefix: str) -> None:
        super().__init__(max_workers=threads, thread_name_prefix=prefix)
        self._thread_limit = threads
        self._counts_lock = Lock()
        self._busy = self._waiting = 0
        # As in RequestCounters: the sum of the times of ends minus those of starts.
        self._busy_moments = self._waiting_moments = 0.0

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        self._count_waiting(+1)
        try:
            future = super().submit(self._run, fn, args, kwargs)
        except BaseException:
            self._count_waiting(-1)
            raise
        future.add_done_callback(self._on_done)
        return future

    def _on_done(self, future: Future[Any]) -> None:
        # A cancelled call never ran: a running one cannot be cancelled.
        if future.cancelled():
            self._count_waiting(-1)

    def _count_waiting(self, change: int) -> None:
        with self._counts_lock:
            self._waiting += change
            self._waiting_moments -= change * monotonic()

    def _run(self, fn: Callable[..., _T], args: Any, kwargs: Any) -> _T:
        with self._counts_lock:
            now = monotonic()
            self._waiting -= 1
            self._waiting_moments += now
            self._busy += 1
            self._busy_moments -= now
        try:
            return fn(*args, **kwargs)
        finally:
            with self._counts_lock:
                self._busy -= 1
                self._busy_moments += monotonic()

    def read(self, now: float) -> _PoolReading:
        with self._counts_lock:
            # Not earlier than what threads have counted meanwhile, or a sum could be negative.
            now = monotonic()
            return _PoolReading(
                self._thread_limit,
                self._busy,
                self._waiting,
                self._busy_moments + self._busy * now,
                self._waiting_moments + self._waiting * now,
            )


class AnyioLimiterPool:
    """A limiter of anyio, sampled."""

    def __init__(self, limiter: Any, now: float) -> None:
        self._limiter = limiter
        self._sampled_at = now
        self._busy_seconds = self._waiting_seconds = 0.0

    def read(self, now: float) -> _PoolReading:
        seen = self._limiter.statistics()
        passed, self._sampled_at = max(0.0, now - self._sampled_at), now
        self._busy_seconds += passed * seen.borrowed_tokens
        self._waiting_seconds += passed * seen.tasks_waiting
        limit = 0.0 if math.isinf(seen.total_tokens) else seen.total_tokens
        return _PoolReading(
            limit,
            seen.borrowed_tokens,
            seen.tasks_waiting,
            self._busy_seconds,
            self._waiting_seconds,
        )


_pools: dict[str, _Pool] = {}
# Busy and waiting seconds of each pool from before the worker served.
_before: dict[str, tuple[float, float]] = {}


def counting_executor(name: str, threads: int) -> CountingExecutor:
    """A thread pool whose numbers are reported under `name`, one of `layout.POOLS`."""
    pool = CountingExecutor(threads, name)
    _pools[name] = pool
    return pool


def watch_default_pools() -> None:
    """Measure the default pools of the running loop. Call it in a task, before the app starts."""
    loop = asyncio.get_running_loop()
    # The number of threads that asyncio uses by default.
    loop.set_default_executor(counting_executor("asyncio", min(32, (os.cpu_count() or 1) + 4)))
    if "anyio" in sys.modules:
        from anyio.to_thread import current_default_thread_limiter  # noqa: PLC0415 - see above

        _pools["anyio"] = AnyioLimiterPool(current_default_thread_limiter(), monotonic())


def begin(now: float) -> None:
    """The worker begins to serve: calls that its start-up made in threads do not count."""
    for name, pool in _pools.items():
        reading = pool.read(now)
        _before[name] = reading.busy_seconds, reading.waiting_seconds


def write(numbers: "memoryview[float]", now: float) -> None:
    """Write the numbers of all pools since `begin` into a worker's slot."""
    for number, name in enumerate(POOLS):
        pool = _pools.get(name)
        if pool is not None:
            start = Cell.THREADS + number * len(ThreadCell)
            *gauges, busy, waiting = pool.read(now)
            busy_before, waiting_before = _before.get(name, (0.0, 0.0))
            values = (*gauges, busy - busy_before, waiting - waiting_before)
            for offset, value in enumerate(values):
                numbers[start + offset] = value
