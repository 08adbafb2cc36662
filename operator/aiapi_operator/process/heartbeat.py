"""Shows another thread whether the operator's event loop runs."""

import asyncio
import time
from collections.abc import Callable
from typing import NoReturn

_INTERVAL = 1.0


class Heartbeat:
    """The last time at which the event loop ran."""

    def __init__(
        self, *, overdue_after: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._overdue_after = overdue_after
        self._clock = clock
        self._last = clock()

    async def run(self) -> NoReturn:
        """Beat until cancelled."""
        while True:
            self._last = self._clock()
            await asyncio.sleep(_INTERVAL)

    def overdue(self) -> list[str]:
        """The event loop, if it was blocked for too long. Called by other threads."""
        silent = self._clock() - self._last
        return [f"event loop, blocked for {silent:.0f} s"] if silent > self._overdue_after else []
