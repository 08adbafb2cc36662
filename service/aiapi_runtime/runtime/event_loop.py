"""What asyncio has since Python 3.11 only, for the apps that run on 3.10."""

import asyncio
import contextlib
import sys
from collections.abc import Coroutine
from typing import Any


def run(loop: asyncio.AbstractEventLoop, main: Coroutine[Any, Any, None]) -> None:
    """Run `main` on this loop to its end, and close the loop."""
    if sys.version_info >= (3, 11):
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(main)
        return
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(main)
    finally:
        _close(loop)


async def wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, but not longer."""
    with contextlib.suppress(asyncio.TimeoutError):
        if sys.version_info >= (3, 11):
            # Unlike wait_for this makes no task, which matters at four calls a second.
            async with asyncio.timeout(seconds):
                await event.wait()
        else:
            await asyncio.wait_for(event.wait(), seconds)


def _close(loop: asyncio.AbstractEventLoop) -> None:
    """As `asyncio.run` does: end what `main` left running."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())
    asyncio.set_event_loop(None)
    loop.close()
