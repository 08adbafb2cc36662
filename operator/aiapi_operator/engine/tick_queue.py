"""Lets ticks begin in the order in which they were due, one in each turn of the event loop.

While the CPU suffices, a turn takes less than a millisecond and nobody waits. When it does not,
ticks that have begun go on in every turn and the others wait, the oldest first: all AIApis tick
less often, by the same factor, and none starves. Only what has not begun waits, so deadlines of a
tick do not run in the queue. Ticks that wait for the network take no turns, so they delay nobody.

The tick that takes over a user's edit begins before all others, so that an edit takes effect
within two ticks however late the others are.
"""

import asyncio
import math
from heapq import heappop, heappush
from itertools import count

Turn = asyncio.Future[None]
"""Is done when its tick may begin."""


class TickQueue:
    """The ticks that are due and have not begun."""

    def __init__(self) -> None:
        self._waiting: list[tuple[float, int, Turn]] = []
        self._number = count()
        self._next: asyncio.Handle | None = None

    def turn(self, due: float) -> Turn:
        """The turn of a tick that was due at this time."""
        turn: Turn = asyncio.get_running_loop().create_future()
        self._add(due, turn)
        return turn

    def move_to_front(self, turn: Turn) -> None:
        """Let this tick begin before all others that wait."""
        self._add(-math.inf, turn)

    def _add(self, due: float, turn: Turn) -> None:
        heappush(self._waiting, (due, next(self._number), turn))
        self._schedule()

    def _schedule(self) -> None:
        if self._next is None and self._waiting:
            self._next = asyncio.get_running_loop().call_soon(self._begin_oldest)

    def _begin_oldest(self) -> None:
        self._next = None
        while self._waiting:
            turn = heappop(self._waiting)[2]
            if not turn.done():  # it is when it was moved, or its AIApi was deleted meanwhile
                turn.set_result(None)
                break
        self._schedule()
