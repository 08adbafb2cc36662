"""The connections to all pods: kept between ticks, opened with bounds, and closed when unused."""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Protocol

from aiapi_operator.observe.pod_connection import Key, PodConnection
from aiapi_operator.observe.target import ScrapeTarget

KEEP_SECONDS = 25.0
"""Less than the 30 s after which a pod closes an idle connection."""
_SWEEP_SECONDS = 5.0


class Caller(Protocol):
    """Who waits for a new connection."""

    target: ScrapeTarget

    def starts(self, attempt: asyncio.Task[None]) -> None:
        """An attempt starts. The caller may cancel it."""

    def waits(self) -> bool:
        """Whether the connection is still wanted."""

    def connected(self, connection: PodConnection) -> None:
        """The connection is open and unused."""

    def unreachable(self, reason: str) -> None:
        """There is no connection."""


class Connections:
    """Kept connections, the least recently used one first."""

    def __init__(self, *, limit: int, attempts: int) -> None:
        self._limit = limit
        self._attempts = attempts
        self._idle: OrderedDict[Key, PodConnection] = OrderedDict()
        self._open: set[PodConnection] = set()
        self._waiting: deque[Caller] = deque()
        self._connecting: set[asyncio.Task[None]] = set()
        self._sweep_timer: asyncio.TimerHandle | None = None

    def take(self, target: ScrapeTarget) -> PodConnection | None:
        """A kept connection to this pod, for the caller alone."""
        kept = self._idle.pop((target.address, target.port), None)
        if kept is None:
            return None
        if kept.tls == target.tls and kept.is_open:
            return kept
        # The CA was replaced, or the address belongs to another AIApi now.
        kept.abort()
        return None

    def hold(self, targets: Sequence[ScrapeTarget]) -> list[PodConnection] | None:
        """The kept connections to all of these pods, for a long time.

        None if one is missing, or if less than a quarter of the limit would be left to the others.
        """
        in_use = len(self._open) - len(self._idle)
        if 4 * (in_use + len(targets)) > 3 * self._limit:
            return None
        found = [kept for target in targets if (kept := self.take(target)) is not None]
        if len(found) == len(targets):
            return found
        for kept in found:
            self.keep(kept)
        return None

    def keep(self, connection: PodConnection) -> None:
        """Keep a connection for the next request to its pod."""
        other = self._idle.pop(connection.key, None)
        if other is not None:
            other.abort()
        connection.idle_since = time.monotonic()
        self._idle[connection.key] = connection
        if self._sweep_timer is None:
            self._start_sweep_timer()
        if self._waiting:
            self._start_waiting()

    def connect(self, caller: Caller) -> None:
        """Open a connection as soon as the bounds allow it."""
        self._waiting.append(caller)
        self._start_waiting()

    def lost(self, connection: PodConnection) -> None:
        """Forget a closed connection."""
        self._open.discard(connection)
        if self._idle.get(connection.key) is connection:
            del self._idle[connection.key]
        self._start_waiting()

    async def close(self) -> None:
        """Close all connections."""
        self._waiting.clear()
        for task in self._connecting:
            task.cancel()
        if self._connecting:
            await asyncio.wait(self._connecting)
        for connection in self._open:
            connection.abort()
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
        # An aborted connection is closed in the next pass of the loop.
        await asyncio.sleep(0)

    def _start_waiting(self) -> None:
        while self._waiting and len(self._connecting) < self._attempts:
            if not self._waiting[0].waits():
                self._waiting.popleft()
                continue
            if len(self._open) + len(self._connecting) >= self._limit:
                self._drop_least_recently_used()
                return
            self._start(self._waiting.popleft())

    def _start(self, caller: Caller) -> None:
        attempt = asyncio.create_task(self._connect(caller))
        self._connecting.add(attempt)
        attempt.add_done_callback(self._ended)
        caller.starts(attempt)

    def _drop_least_recently_used(self) -> None:
        """Make room. The one that waits starts when this connection is closed."""
        if self._idle:
            self._idle.popitem(last=False)[1].abort()

    async def _connect(self, caller: Caller) -> None:
        try:
            connection = await self._opened(caller.target)
        except (OSError, ValueError) as error:
            caller.unreachable(str(error) or type(error).__name__)
            return
        if connection.is_open:
            self._open.add(connection)
            caller.connected(connection)
        else:
            caller.unreachable("the pod closed the connection")

    def _ended(self, attempt: asyncio.Task[None]) -> None:
        self._connecting.discard(attempt)
        self._start_waiting()

    async def _opened(self, target: ScrapeTarget) -> PodConnection:
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: PodConnection(target, self),
            target.address,
            target.port,
            ssl=target.ssl_context,
            server_hostname=target.server_hostname,
        )
        return connection

    def _start_sweep_timer(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweep_timer = loop.call_later(_SWEEP_SECONDS, self._sweep)

    def _sweep(self) -> None:
        """Close what was not used for a while: mostly pods that are gone."""
        self._sweep_timer = None
        oldest = time.monotonic() - KEEP_SECONDS
        while self._idle and next(iter(self._idle.values())).idle_since < oldest:
            self._drop_least_recently_used()
        if self._idle:
            self._start_sweep_timer()
