"""A task that runs while there is something to do, and is started again when there is."""

import asyncio
import logging
from collections.abc import Callable, Coroutine

_log = logging.getLogger(__name__)


class OnDemand:
    """Runs ``run`` at most once at a time."""

    def __init__(self, name: str, run: Callable[[], Coroutine[None, None, None]]) -> None:
        self._name = name
        self._run = run
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start it unless it runs."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name=self._name)
            self._task.add_done_callback(self._ended)

    def stop(self) -> None:
        """Cancel it."""
        if self._task is not None:
            self._task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if self._task is task:
            self._task = None
        if not task.cancelled() and (error := task.exception()):
            _log.error("%s failed", self._name, exc_info=error)
