"""Counts what is open and lets in, queues or refuses what comes. Knows no clock and no HTTP."""

import asyncio
from collections import deque

from aiapi_runtime.limits.priority import Priority

# Low priority ends below the limit, so that the rest finds room at once.
_LOW_SHARE = 0.8
_QUEUE_SHARE = 0.125

Place = asyncio.Future[bool]


class Gate:
    """One a worker; `limit` may change at any time."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.open = 0
        # Let through by the early_rejection, and not here yet.
        self.coming = 0
        self.peak = 0
        self._first: deque[Place] = deque()
        self._rest: deque[Place] = deque()

    def enter(self, priority: Priority) -> bool:
        """Whether there is room now."""
        limit = self.limit * _LOW_SHARE if priority is Priority.LOW else self.limit
        if self.open >= limit or self._first or self._rest:
            return False
        self._let_in()
        return True

    def hopeless(self, priority: Priority) -> bool:
        """Whether one that comes now will find neither room nor a place in the queue."""
        before = self.open + self.coming + len(self._first) + len(self._rest)
        if priority is Priority.LOW:
            return before >= self.limit * _LOW_SHARE
        if priority is Priority.HIGH and self._rest:
            return False
        return before >= self.limit + self._queue_room

    @property
    def _queue_room(self) -> int:
        return max(1, int(self.limit * _QUEUE_SHARE))

    def queue(self, priority: Priority) -> Place | None:
        """A place in the queue, whose result says whether its turn came; None where it is full."""
        if priority is Priority.LOW:
            return None
        if len(self._first) + len(self._rest) >= self._queue_room and not self._make_room(priority):
            return None
        place: Place = asyncio.get_running_loop().create_future()
        (self._first if priority is Priority.HIGH else self._rest).append(place)
        return place

    def _make_room(self, priority: Priority) -> bool:
        if priority is not Priority.HIGH or not self._rest:
            return False
        last = self._rest.pop()
        if not last.done():
            last.set_result(False)
        return True

    def leave(self) -> None:
        """One is done: its room is for the next in the queue."""
        self.open -= 1
        self.admit()

    def admit(self) -> None:
        """Let in from the queue what there is room for."""
        while self.open < self.limit and (self._first or self._rest):
            place = (self._first or self._rest).popleft()
            if not place.done():
                self._let_in()
                place.set_result(True)

    def gone(self, place: Place) -> None:
        """Nobody waits at this place any more."""
        for queue in (self._first, self._rest):
            if place in queue:
                queue.remove(place)

    def _let_in(self) -> None:
        self.open += 1
        self.peak = max(self.peak, self.open)
