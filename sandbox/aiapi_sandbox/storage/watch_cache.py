"""The watch cache: recent writes in order, the source of every watch."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

from aiapi_sandbox.apimachinery.errors import Obj, expired
from aiapi_sandbox.kinds.resources import GroupVersionResource

_MAX_PENDING = 20_000

EventType = Literal["ADDED", "MODIFIED", "DELETED"]


@dataclass(frozen=True)
class WatchEvent:
    """One write. `previous` lets a watch with a selector detect that an object stopped matching."""

    version: int
    type: EventType
    gvr: GroupVersionResource
    namespace: str
    object: Obj
    previous: Obj | None


class Watcher:
    """A queue of one resource's events after a version. The objects are shared: read-only."""

    def __init__(self, cache: WatchCache, gvr: GroupVersionResource, namespace: str | None) -> None:
        self._cache = cache
        self._gvr = gvr
        self._namespace = namespace
        self._queue: asyncio.Queue[WatchEvent | None] = asyncio.Queue()

    def offer(self, event: WatchEvent) -> None:
        if event.gvr != self._gvr or self._namespace not in (None, "", event.namespace):
            return
        if self._queue.qsize() >= _MAX_PENDING:
            self.close()  # a reader this slow should list again
        else:
            self._queue.put_nowait(event)

    async def next(self) -> WatchEvent | None:
        """The next event; None once closed."""
        return await self._queue.get()

    @property
    def pending(self) -> bool:
        return not self._queue.empty()

    def close(self) -> None:
        self._cache.forget(self)
        self._queue.put_nowait(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class WatchCache:
    """A bounded log of events. A request for older ones gets 410 Gone and must list again."""

    def __init__(self, *, start: int, size: int) -> None:
        self.version = start
        self._start = start
        self._events: deque[WatchEvent] = deque(maxlen=size)
        self._watchers: set[Watcher] = set()

    def next_version(self) -> int:
        self.version += 1
        return self.version

    def record(self, event: WatchEvent) -> None:
        self._events.append(event)
        for watcher in tuple(self._watchers):
            watcher.offer(event)

    @property
    def oldest(self) -> int:
        """The oldest version from which a watch can resume."""
        full = len(self._events) == self._events.maxlen
        return self._events[0].version - 1 if full else self._start

    def subscribe(
        self, gvr: GroupVersionResource, namespace: str | None, *, since: int | None
    ) -> Watcher:
        if since is not None and since < self.oldest:
            raise expired(since, self.oldest)
        watcher = Watcher(self, gvr, namespace)
        if since is not None:
            for event in self._events:
                if event.version > since:
                    watcher.offer(event)
        self._watchers.add(watcher)
        return watcher

    def forget(self, watcher: Watcher) -> None:
        self._watchers.discard(watcher)

    def close(self) -> None:
        for watcher in tuple(self._watchers):
            watcher.close()
