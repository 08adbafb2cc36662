"""Asks twice when the first answer is late, and takes whichever comes first."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

Answer = TypeVar("Answer")


async def first_of(
    ask: Callable[[], Coroutine[Any, Any, Answer]],
    *,
    after: float,
    may_hedge: Callable[[], bool],
    discard: Callable[[Answer], Awaitable[None]],
) -> Answer:
    """The first good answer; the failure of the last when there is none. The loser is cancelled."""
    calls = [asyncio.create_task(ask())]
    try:
        done, _ = await asyncio.wait(calls, timeout=after)
        if not done and may_hedge():
            calls.append(asyncio.create_task(ask()))
        pending = set(calls)
        while True:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            good = [call for call in done if not call.cancelled() and call.exception() is None]
            if good:
                calls.remove(good[0])
                return good[0].result()
            if not pending:
                return done.pop().result()
    finally:
        await _end(calls, discard)


async def _end(
    calls: list[asyncio.Task[Answer]], discard: Callable[[Answer], Awaitable[None]]
) -> None:
    for call in calls:
        call.cancel()
    for result in await asyncio.gather(*calls, return_exceptions=True):
        if not isinstance(result, BaseException):
            await discard(result)
