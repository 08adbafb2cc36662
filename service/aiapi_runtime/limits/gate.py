"""Counts open requests, and admits, queues or refuses new ones. No clock and no HTTP in here."""

import asyncio
from collections import deque

from aiapi_runtime.limits.priority import Priority

# Low priority stops below the limit, so that other requests are admitted without waiting.
_LOW_SHARE = 0.8
_QUEUE_SHARE = 0.125

QueuePlace = asyncio.Future[bool]


class Gate:
    """One per worker; `limit` may change at any time."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.open = 0
        # Passed the early check but not arrived at the gate yet.
        self.arriving = 0
        self.peak = 0
        self._high: deque[QueuePlace] = deque()
        self._normal: deque[QueuePlace] = deque()

    def try_enter(self, priority: Priority) -> bool:
        """Admit a request if there is space now."""
        limit = self.limit * _LOW_SHARE if priority is Priority.LOW else self.limit
        if self.open >= limit or self._high or self._normal:
            return False
        self._admit_one()
        return True

    def is_full(self, priority: Priority) -> bool:
        """Whether a request that arrives now can be neither admitted nor queued."""
        ahead = self.open + self.arriving + len(self._high) + len(self._normal)
        if priority is Priority.LOW:
            return ahead >= self.limit * _LOW_SHARE
        if priority is Priority.HIGH and self._normal:
            return False
        return ahead >= self.limit + self._queue_limit

    @property
    def _queue_limit(self) -> int:
        return max(1, int(self.limit * _QUEUE_SHARE))

    def enqueue(self, priority: Priority) -> QueuePlace | None:
        """A place in the queue, whose result is whether it was admitted; None where it is full."""
        if priority is Priority.LOW:
            return None
        queued = len(self._high) + len(self._normal)
        if queued >= self._queue_limit and not self._displace_for(priority):
            return None
        place: QueuePlace = asyncio.get_running_loop().create_future()
        (self._high if priority is Priority.HIGH else self._normal).append(place)
        return place

    def _displace_for(self, priority: Priority) -> bool:
        """A request of high priority takes the place of the last normal one."""
        if priority is not Priority.HIGH or not self._normal:
            return False
        last = self._normal.pop()
        if not last.done():
            last.set_result(False)
        return True

    def leave(self) -> None:
        """A request has ended: the next in the queue is admitted."""
        self.open -= 1
        self.admit_queued()

    def admit_queued(self) -> None:
        """Admit from the queue as many as there is space for."""
        while self.open < self.limit and (self._high or self._normal):
            place = (self._high or self._normal).popleft()
            if not place.done():
                self._admit_one()
                place.set_result(True)

    def abandon(self, place: QueuePlace) -> None:
        """Remove a place whose request does not wait any more."""
        for queue in (self._high, self._normal):
            if place in queue:
                queue.remove(place)

    def _admit_one(self) -> None:
        self.open += 1
        self.peak = max(self.peak, self.open)
