"""How many threads of a worker's pools are busy, and how many calls wait for one.

What more calls than threads wait for is a thread, while the loop is idle and no upstream is asked:
nothing else shows it. Three pools are known: anyio's default limiter, which FastAPI and Starlette
use for plain `def` endpoints (40 a worker, unless the app says otherwise); asyncio's default
executor, for `asyncio.to_thread`; and the pool of `--wsgi`. The executors count exactly. anyio's
limiter is looked at with each heartbeat, ten times a second.
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


class _Now(NamedTuple):
    """In the order of `ThreadCell`."""

    limit: float
    busy: float
    waiting: float
    busy_seconds: float
    waiting_seconds: float


class _Pool(Protocol):
    def read(self, now: float) -> _Now: ...


class CountingExecutor(ThreadPoolExecutor):
    """A pool that knows how long its threads were busy, and calls waited for them."""

    def __init__(self, threads: int, prefix: str) -> None:
        super().__init__(max_workers=threads, thread_name_prefix=prefix)
        self._threads_limit = threads
        self._counts = Lock()
        self._busy = self._waiting = 0
        # As in a RequestCounters: the sum of the instants of ends less those of beginnings.
        self._busy_moments = self._waiting_moments = 0.0

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        self._wait(+1)
        try:
            future = super().submit(self._run, fn, args, kwargs)
        except BaseException:
            self._wait(-1)
            raise
        future.add_done_callback(self._cancelled)
        return future

    def _cancelled(self, future: Future[Any]) -> None:
        # What is cancelled never ran: a call that runs can no longer be.
        if future.cancelled():
            self._wait(-1)

    def _wait(self, change: int) -> None:
        with self._counts:
            self._waiting += change
            self._waiting_moments -= change * monotonic()

    def _run(self, fn: Callable[..., _T], args: Any, kwargs: Any) -> _T:
        with self._counts:
            now = monotonic()
            self._waiting -= 1
            self._waiting_moments += now
            self._busy += 1
            self._busy_moments -= now
        try:
            return fn(*args, **kwargs)
        finally:
            with self._counts:
                self._busy -= 1
                self._busy_moments += monotonic()

    def read(self, now: float) -> _Now:
        with self._counts:
            # Not before what threads have counted meanwhile: a sum could be less than nothing.
            now = monotonic()
            return _Now(
                self._threads_limit,
                self._busy,
                self._waiting,
                self._busy_moments + self._busy * now,
                self._waiting_moments + self._waiting * now,
            )


class AnyioLimiterPool:
    """A limiter of anyio; its calls are counted as they are seen."""

    def __init__(self, limiter: Any, now: float) -> None:
        self._limiter = limiter
        self._at = now
        self._busy_seconds = self._waiting_seconds = 0.0

    def read(self, now: float) -> _Now:
        seen = self._limiter.statistics()
        passed, self._at = max(0.0, now - self._at), now
        self._busy_seconds += passed * seen.borrowed_tokens
        self._waiting_seconds += passed * seen.tasks_waiting
        limit = 0.0 if math.isinf(seen.total_tokens) else seen.total_tokens
        return _Now(
            limit,
            seen.borrowed_tokens,
            seen.tasks_waiting,
            self._busy_seconds,
            self._waiting_seconds,
        )


_pools: dict[str, _Pool] = {}


def watched(name: str, threads: int) -> CountingExecutor:
    """A pool of this process that is counted under `name`, one of `layout.POOLS`."""
    pool = CountingExecutor(threads, name)
    _pools[name] = pool
    return pool


def watch() -> None:
    """Count the default pools of the running loop; in a task, before the app starts."""
    loop = asyncio.get_running_loop()
    # As many threads as asyncio itself gives it.
    loop.set_default_executor(watched("asyncio", min(32, (os.cpu_count() or 1) + 4)))
    if "anyio" in sys.modules:
        from anyio.to_thread import current_default_thread_limiter  # noqa: PLC0415 - see above

        _pools["anyio"] = AnyioLimiterPool(current_default_thread_limiter(), monotonic())


def write(numbers: "memoryview[float]", now: float) -> None:
    """Put all pools' numbers into a worker's slot."""
    for number, name in enumerate(POOLS):
        pool = _pools.get(name)
        if pool is not None:
            start = Cell.THREADS + number * len(ThreadCell)
            for offset, value in enumerate(pool.read(now)):
                numbers[start + offset] = value
