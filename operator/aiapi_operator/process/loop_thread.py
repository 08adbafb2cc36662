"""A second event loop, in a thread of its own, for what must not wait for ticks.

The Lease is renewed and probes are answered there. What the two loops share is immutable and
replaced as a whole, or handed over with ``run_on`` and ``call_soon_threadsafe``.
"""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

_LEAVE_WITHIN = 6.0
"""Seconds for a resource to stop, such as releasing the Lease."""
_END_WITHIN = 2.0

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


async def run_on(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, _T]) -> _T:
    """Run on the loop of another thread, and wait for the result."""
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))


class LoopThread:
    """The loop of a running thread."""

    def __init__(self, name: str, loop: asyncio.AbstractEventLoop) -> None:
        self._name = name
        self._loop = loop

    @asynccontextmanager
    async def hosting(self, resource: AbstractAsyncContextManager[_T]) -> AsyncIterator[_T]:
        """Enter and leave a resource on the thread's loop."""
        entered = await run_on(self._loop, resource.__aenter__())
        try:
            yield entered
        finally:
            try:
                async with asyncio.timeout(_LEAVE_WITHIN):
                    await run_on(self._loop, _leave(resource))
            except TimeoutError:
                _log.warning("a part of the thread %r did not stop in time", self._name)


async def _leave(resource: AbstractAsyncContextManager[_T]) -> None:
    await resource.__aexit__(None, None, None)


@asynccontextmanager
async def loop_thread(name: str) -> AsyncIterator[LoopThread]:
    """Run a loop in a thread for the block."""
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
    # A daemon: a thread that hangs must not keep the process from ending.
    thread = threading.Thread(target=_run, args=(started,), name=name, daemon=True)
    thread.start()
    loop, stop = await asyncio.wrap_future(started)
    try:
        yield LoopThread(name, loop)
    finally:
        loop.call_soon_threadsafe(stop.set)
        await asyncio.to_thread(thread.join, _END_WITHIN)
        if thread.is_alive():
            _log.warning("the thread %r did not end in time", name)


def _run(started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]]) -> None:
    async def until_stopped() -> None:
        stop = asyncio.Event()
        started.set_result((asyncio.get_running_loop(), stop))
        await stop.wait()

    asyncio.run(until_stopped())
