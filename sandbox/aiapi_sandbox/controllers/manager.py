"""The controller manager: maps events to object keys and reconciles them from one work queue.

The store is in memory, so a reconciliation is a plain function call, and one task runs all of them
one after the other. The queue holds each key at most once.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

from aiapi_sandbox.apimachinery.errors import ApiError, Obj
from aiapi_sandbox.kinds.resources import GroupVersionResource
from aiapi_sandbox.storage.store import Store
from aiapi_sandbox.storage.watch_cache import WatchEvent

logger = logging.getLogger(__name__)
RETRY_SECONDS = (0.02, 0.1, 0.5, 2.0, 5.0)


class ObjectKey(NamedTuple):
    """The namespace and name of the object to reconcile."""

    namespace: str
    name: str


def object_key(obj: Obj) -> ObjectKey:
    """Return the key of an object."""
    meta = obj["metadata"]
    return ObjectKey(meta.get("namespace", ""), meta["name"])


MapFunc = Callable[[Obj], Iterable[ObjectKey]]


class Controller(Protocol):
    """Reconciles objects of one kind."""

    @property
    def watches(self) -> Mapping[GroupVersionResource, MapFunc]:
        """The watched resources, and how their objects map to keys."""

    def reconcile(self, key: ObjectKey) -> float | None:
        """Reconcile; return the seconds until the next reconciliation, or None."""


class ControllerManager:
    """Owns the work queue. The sandbox runs `run` in a task."""

    def __init__(self, store: Store, controllers: Iterable[Controller]) -> None:
        self._store = store
        self._watches: dict[GroupVersionResource, list[tuple[Controller, MapFunc]]] = {}
        for controller in controllers:
            for resource, map_func in controller.watches.items():
                self._watches.setdefault(resource, []).append((controller, map_func))
        self._queue: dict[tuple[int, ObjectKey], Controller] = {}
        self._failures: dict[tuple[int, ObjectKey], int] = {}
        self._timers: dict[tuple[int, ObjectKey], asyncio.TimerHandle] = {}
        self._wake = asyncio.Event()
        store.add_event_handler(self._on_event)

    def _on_event(self, event: WatchEvent) -> None:
        for controller, map_func in self._watches.get(event.gvr, ()):
            for obj in (event.object, event.previous):
                if obj is not None:
                    self._enqueue(controller, map_func, obj)

    def _enqueue(self, controller: Controller, map_func: MapFunc, obj: Obj) -> None:
        """Queue the keys for an object. Runs inside a client's write, so it must not raise."""
        try:
            for key in map_func(obj):
                self._add(controller, key)
        except (ApiError, KeyError, TypeError):
            logger.exception("%s cannot map an event to keys", type(controller).__name__)

    def _add(self, controller: Controller, key: ObjectKey) -> None:
        self._queue[id(controller), key] = controller
        self._wake.set()

    async def run(self) -> None:
        """Reconcile all existing objects, then every change, until cancelled."""
        for resource, watchers in self._watches.items():
            for obj in tuple(self._store.scan(resource)):
                for controller, map_func in watchers:
                    self._enqueue(controller, map_func, obj)
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._queue:
                    self._reconcile_next()
                    await asyncio.sleep(0)
        finally:
            for timer in self._timers.values():
                timer.cancel()

    def _reconcile_next(self) -> None:
        item = next(iter(self._queue))
        controller, key = self._queue.pop(item), item[1]
        try:
            requeue_after = controller.reconcile(key)
        except ApiError as error:
            requeue_after = self._retry_delay(item)
            logger.debug("%s of %s: %s", type(controller).__name__, key, error)
        except Exception:
            requeue_after = self._retry_delay(item)
            logger.exception("%s failed on %s", type(controller).__name__, key)
        else:
            self._failures.pop(item, None)
        self._schedule(item, controller, requeue_after)

    def _retry_delay(self, item: tuple[int, ObjectKey]) -> float:
        attempts = self._failures.get(item, 0)
        self._failures[item] = attempts + 1
        return RETRY_SECONDS[min(attempts, len(RETRY_SECONDS) - 1)]

    def _schedule(
        self, item: tuple[int, ObjectKey], controller: Controller, requeue_after: float | None
    ) -> None:
        if timer := self._timers.pop(item, None):
            timer.cancel()
        if requeue_after is not None:
            loop = asyncio.get_running_loop()
            self._timers[item] = loop.call_later(requeue_after, self._add, controller, item[1])
