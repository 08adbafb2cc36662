"""The loop that runs all controllers: changes become keys, and each key is reconciled in turn.

The store is in memory and a write is a function call, so a reconciliation is a plain function, and
one task runs them all, one after the other. A key waits in the queue once, however often it
changed.
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
    """What a controller reconciles: an object by its name."""

    namespace: str
    name: str


def object_key(obj: Obj) -> ObjectKey:
    """Return the key of an object."""
    meta = obj["metadata"]
    return ObjectKey(meta.get("namespace", ""), meta["name"])


MapFunc = Callable[[Obj], Iterable[ObjectKey]]


class Controller(Protocol):
    """Brings the world closer to what the object of a key wants."""

    @property
    def watches(self) -> Mapping[GroupVersionResource, MapFunc]:
        """Which keys to look at when an object of a resource changed."""

    def reconcile(self, key: ObjectKey) -> float | None:
        """Act; return after how many seconds to look again, or None."""


class ControllerManager:
    """Owns the queue; `run` belongs in a task of the sandbox."""

    def __init__(self, store: Store, controllers: Iterable[Controller]) -> None:
        self._store = store
        self._watches: dict[GroupVersionResource, list[tuple[Controller, MapFunc]]] = {}
        for controller in controllers:
            for resource, route in controller.watches.items():
                self._watches.setdefault(resource, []).append((controller, route))
        self._queue: dict[tuple[int, ObjectKey], Controller] = {}
        self._failures: dict[tuple[int, ObjectKey], int] = {}
        self._timers: dict[tuple[int, ObjectKey], asyncio.TimerHandle] = {}
        self._wake = asyncio.Event()
        store.add_event_handler(self._on_event)

    def _on_event(self, event: WatchEvent) -> None:
        for controller, route in self._watches.get(event.gvr, ()):
            for obj in (event.object, event.previous):
                if obj is not None:
                    self._route(controller, route, obj)

    def _route(self, controller: Controller, route: MapFunc, obj: Obj) -> None:
        """Queue what a change concerns; called inside a client's write, which it must not fail."""
        try:
            for key in route(obj):
                self._add(controller, key)
        except (ApiError, KeyError, TypeError):
            logger.exception("%s cannot follow a change", type(controller).__name__)

    def _add(self, controller: Controller, key: ObjectKey) -> None:
        self._queue[id(controller), key] = controller
        self._wake.set()

    async def run(self) -> None:
        """Look at everything there is, then at what changes, until cancelled."""
        for resource, routed in self._watches.items():
            for obj in tuple(self._store.scan(resource)):
                for controller, route in routed:
                    self._route(controller, route, obj)
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
        place = next(iter(self._queue))
        controller, key = self._queue.pop(place), place[1]
        try:
            again = controller.reconcile(key)
        except ApiError as error:
            again = self._retry_delay(place)
            logger.debug("%s of %s: %s", type(controller).__name__, key, error)
        except Exception:
            again = self._retry_delay(place)
            logger.exception("%s failed on %s", type(controller).__name__, key)
        else:
            self._failures.pop(place, None)
        self._schedule(place, controller, again)

    def _retry_delay(self, place: tuple[int, ObjectKey]) -> float:
        tries = self._failures.get(place, 0)
        self._failures[place] = tries + 1
        return RETRY_SECONDS[min(tries, len(RETRY_SECONDS) - 1)]

    def _schedule(
        self, place: tuple[int, ObjectKey], controller: Controller, after: float | None
    ) -> None:
        if timer := self._timers.pop(place, None):
            timer.cancel()
        if after is not None:
            loop = asyncio.get_running_loop()
            self._timers[place] = loop.call_later(after, self._add, controller, place[1])
