"""What happened to stored objects, in order: the source of every watch."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

from aiapi_sandbox.apimachinery.errors import Obj, expired
from aiapi_sandbox.kinds.resources import GroupVersionResource

_MOST_WAITING = 20_000

EventType = Literal["ADDED", "MODIFIED", "DELETED"]


@dataclass(frozen=True)
class WatchEvent:
    """One write. `previous` lets a watch with a selector see that an object has left it."""

    version: int
    type: EventType
    key: GroupVersionResource
    namespace: str
    object: Obj
    previous: Obj | None


class Watcher:
    """The changes of one resource, from a version on. Its objects are shared: read only."""

    def __init__(
        self, history: WatchCache, key: GroupVersionResource, namespace: str | None
    ) -> None:
        self._history = history
        self._key = key
        self._namespace = namespace
        self._waiting: asyncio.Queue[WatchEvent | None] = asyncio.Queue()

    def offer(self, change: WatchEvent) -> None:
        if change.key != self._key or self._namespace not in (None, "", change.namespace):
            return
        if self._waiting.qsize() >= _MOST_WAITING:
            self.close()  # a reader this slow does better to list again
        else:
            self._waiting.put_nowait(change)

    async def next(self) -> WatchEvent | None:
        """The next change; None once closed."""
        return await self._waiting.get()

    @property
    def pending(self) -> bool:
        return not self._waiting.empty()

    def close(self) -> None:
        self._history.forget(self)
        self._waiting.put_nowait(None)

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
    """A bounded log of changes. Who asks for older ones is told 410 and lists again."""

    def __init__(self, *, start: int, size: int) -> None:
        self.version = start
        self._start = start
        self._changes: deque[WatchEvent] = deque(maxlen=size)
        self._subscriptions: set[Watcher] = set()

    def next_version(self) -> int:
        self.version += 1
        return self.version

    def record(self, change: WatchEvent) -> None:
        self._changes.append(change)
        for subscription in tuple(self._subscriptions):
            subscription.offer(change)

    @property
    def oldest(self) -> int:
        """The oldest version from which a watch can still go on."""
        full = len(self._changes) == self._changes.maxlen
        return self._changes[0].version - 1 if full else self._start

    def subscribe(
        self, key: GroupVersionResource, namespace: str | None, *, since: int | None
    ) -> Watcher:
        if since is not None and since < self.oldest:
            raise expired(since, self.oldest)
        subscription = Watcher(self, key, namespace)
        if since is not None:
            for change in self._changes:
                if change.version > since:
                    subscription.offer(change)
        self._subscriptions.add(subscription)
        return subscription

    def forget(self, subscription: Watcher) -> None:
        self._subscriptions.discard(subscription)

    def close(self) -> None:
        for subscription in tuple(self._subscriptions):
            subscription.close()
