"""Hedged requests: starts a second call when the first is slow, and uses the faster one."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


async def first_of(
    call: Callable[[], Coroutine[Any, Any, Result]],
    *,
    after: float,
    may_hedge: Callable[[], bool],
    discard: Callable[[Result], Awaitable[None]],
) -> Result:
    """The first success, else the last failure. The other call is cancelled."""
    calls = [asyncio.create_task(call())]
    try:
        done, _ = await asyncio.wait(calls, timeout=after)
        if not done and may_hedge():
            calls.append(asyncio.create_task(call()))
        pending = set(calls)
        while True:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            good = [task for task in done if not task.cancelled() and task.exception() is None]
            if good:
                calls.remove(good[0])
                return good[0].result()
            if not pending:
                return done.pop().result()
    finally:
        await _end(calls, discard)


async def _end(
    calls: list[asyncio.Task[Result]], discard: Callable[[Result], Awaitable[None]]
) -> None:
    for task in calls:
        task.cancel()
    for result in await asyncio.gather(*calls, return_exceptions=True):
        if not isinstance(result, BaseException):
            await discard(result)
