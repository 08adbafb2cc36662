"""Lets ticks begin in the order in which they were due, one in each turn of the event loop.

While the CPU suffices, a turn takes less than a millisecond and nobody waits. When it does not,
ticks that have begun go on in every turn and the others wait, the oldest first: all AIApis tick
less often, by the same factor, and none starves. Only what has not begun waits, so deadlines of a
tick do not run in the queue. Ticks that wait for the network take no turns, so they delay nobody.
"""

import asyncio
from heapq import heappop, heappush
from itertools import count


class TickQueue:
    """The ticks that are due and have not begun."""

    def __init__(self) -> None:
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._number = count()
        self._next: asyncio.Handle | None = None

    async def turn(self, due: float) -> None:
        """Wait until the tick that was due at this time may begin."""
        begins = asyncio.get_running_loop().create_future()
        heappush(self._waiting, (due, next(self._number), begins))
        self._schedule()
        await begins

    def _schedule(self) -> None:
        if self._next is None and self._waiting:
            self._next = asyncio.get_running_loop().call_soon(self._begin_oldest)

    def _begin_oldest(self) -> None:
        self._next = None
        while self._waiting:
            begins = heappop(self._waiting)[2]
            if not begins.done():  # it is when the AIApi was deleted meanwhile
                begins.set_result(None)
                break
        self._schedule()
