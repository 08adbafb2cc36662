"""Tasks that outlive their request, such as one that writes a log entry after the response.

A departing worker waits for them, as for requests. Tasks that the app has started before it serves
(pollers, consumers) run for as long as the worker does, so it does not wait for those.
"""

import asyncio
import logging
from collections.abc import Callable
from weakref import WeakSet

logger = logging.getLogger("aiapi.worker")

_POLL_SECONDS = 0.05
_NAMED = 3


class BackgroundTasks:
    """All tasks of the loop that were created after the start-up."""

    def __init__(self) -> None:
        self._of_startup: WeakSet[asyncio.Task[object]] = WeakSet()

    def startup_is_complete(self) -> None:
        self._of_startup = WeakSet(asyncio.all_tasks())

    def running(self) -> set[asyncio.Task[object]]:
        return asyncio.all_tasks() - set(self._of_startup) - {asyncio.current_task()}

    async def finish(self, seconds_left: Callable[[], float]) -> None:
        """Wait until none runs; the time may become shorter meanwhile."""
        while (running := self.running()) and seconds_left() > 0:
            await asyncio.wait(running, timeout=_POLL_SECONDS)
        if running:
            logger.warning(
                "cancelling background tasks that did not finish in time: %s",
                ", ".join(sorted(map(_name, running))[:_NAMED]),
            )


def _name(task: asyncio.Task[object]) -> str:
    coroutine = task.get_coro()
    return str(getattr(coroutine, "__qualname__", coroutine))
