"""One asyncio task for each AIApi, so that none can hold up another.

A task ticks at the AIApi's own interval and at once when something of it changed. A tick that
fails backs off and is told; the task itself never ends before its AIApi does.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from aiapi_operator.api.duration import is_duration, parse_duration
from aiapi_operator.cluster.errors import ClusterError
from aiapi_operator.cluster.resources import Manifest
from aiapi_operator.engine.aiapi_state import AIApiState
from aiapi_operator.engine.cache import Key, ObjectCache, is_newer
from aiapi_operator.engine.existence import AIApiDeletedError
from aiapi_operator.engine.ports import Leadership
from aiapi_operator.engine.tick import Engine, LeadershipLostError

DEFAULT_INTERVAL = 2.0
SHORTEST_PAUSE = 0.25
"""Seconds between two ticks even when things change all the time."""
TICK_BOUND = 45.0
"""Seconds after which a tick is given up."""
LATEST = 90.0
"""Seconds without a finished tick after which an AIApi counts as forgotten."""
_FIRST_BACKOFF = 1.0
_LAST_BACKOFF = 30.0
_STANDBY = 1.0

_log = logging.getLogger(__name__)


class TickMetrics(Protocol):
    """Takes how ticks went."""

    def record_tick(self, key: Key, *, seconds: float, lag: float, outcome: str) -> None:
        """A tick ended: how long it took, how late it began, and how it ended."""

    def forget(self, key: Key) -> None:
        """The AIApi is gone."""


@dataclass(slots=True)
class _Looked:
    """One AIApi with its task."""

    subject: AIApiState
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    finished: float = 0.0
    failures: int = 0


class Runner:
    """Starts and ends tasks as AIApis come and go, and wakes them when something changed."""

    def __init__(
        self,
        engine: Engine,
        cache: ObjectCache,
        leadership: Leadership,
        meter: TickMetrics,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._cache = cache
        self._leadership = leadership
        self._meter = meter
        self._clock = clock
        self._looked: dict[Key, _Looked] = {}
        self._stopped = False

    def on_aiapi_update(self, manifest: Manifest) -> None:
        """An AIApi was there at the start, came, or changed."""
        key = _key(manifest)
        known = self._looked.get(key)
        if known is not None and known.subject.uid != manifest["metadata"]["uid"]:
            self._end(key)
            known = None
        if known is None:
            self._begin(key, manifest)
        elif is_newer(manifest, known.subject.manifest):
            woken = manifest["metadata"]["generation"] != _generation(known.subject.manifest)
            known.subject.manifest = manifest
            if woken:
                known.wake.set()

    def on_aiapi_delete(self, manifest: Manifest) -> None:
        """An AIApi was deleted. Its children are the garbage collector's."""
        known = self._looked.get(_key(manifest))
        if known is not None and known.subject.uid == manifest["metadata"]["uid"]:
            self._end(_key(manifest))

    def on_child_update(self, manifest: Manifest) -> None:
        """A child or a pod was there at the start, came, or changed."""
        self._wake(self._cache.put(manifest))

    def on_child_delete(self, manifest: Manifest) -> None:
        """A child or a pod was deleted."""
        self._wake(self._cache.remove(manifest))

    async def stop(self) -> None:
        """End all tasks. Nothing in the cluster changes."""
        self._stopped = True
        tasks = [known.task for known in self._looked.values() if known.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._looked.clear()

    def aiapis(self) -> list[Manifest]:
        """All AIApis as they were seen last."""
        return [known.subject.manifest for known in self._looked.values()]

    def overdue(self) -> list[str]:
        """AIApis whose last tick is too long ago: something holds them up."""
        late = self._clock() - LATEST
        return [
            "/".join(key)
            for key, known in self._looked.items()
            if known.finished < late - _interval(known.subject.manifest)
        ]

    def _begin(self, key: Key, manifest: Manifest) -> None:
        if self._stopped or manifest["metadata"].get("deletionTimestamp"):
            return
        known = _Looked(AIApiState(manifest), finished=self._clock())
        self._looked[key] = known
        known.task = asyncio.create_task(self._look_after(key, known), name="/".join(key))

    def _end(self, key: Key) -> None:
        known = self._looked[key]
        if known.task is not None:
            known.task.cancel()
        self._forget(key)

    def _forget(self, key: Key) -> None:
        del self._looked[key]
        self._cache.drop(key)
        self._meter.forget(key)

    def _wake(self, key: Key | None) -> None:
        if key is not None and key in self._looked:
            self._looked[key].wake.set()

    async def _look_after(self, key: Key, known: _Looked) -> None:
        # Spread out, so that many AIApis that start together do not tick together for ever.
        due = self._clock() + random.uniform(0, 0.1)  # noqa: S311 - spread, not a secret
        while True:
            await self._pause(known, due)
            started = self._clock()
            try:
                pause = await self._once(key, known, lag=max(0.0, started - due))
            except AIApiDeletedError:
                _log.info("the AIApi is gone", extra={"namespace": key[0], "aiapi": key[1]})
                self._forget(key)
                return
            known.finished = self._clock()
            due = max(started + pause, known.finished + SHORTEST_PAUSE)

    async def _pause(self, known: _Looked, due: float) -> None:
        """Until ``due``, or sooner when something changed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, due - self._clock())):
                await known.wake.wait()
                if known.failures:
                    # What failed is not hurried by events, or it would never back off.
                    await asyncio.sleep(_LAST_BACKOFF)
                await asyncio.sleep(SHORTEST_PAUSE)
        known.wake.clear()

    async def _once(self, key: Key, known: _Looked, *, lag: float) -> float:
        """One tick, and the seconds until the next."""
        if not self._leadership.held():
            return _STANDBY
        started = self._clock()
        outcome = await self._tick(key, known)
        self._meter.record_tick(key, seconds=self._clock() - started, lag=lag, outcome=outcome)
        if outcome == "ok":
            known.failures = 0
            return _interval(known.subject.manifest)
        known.failures += 1
        backoff = min(_FIRST_BACKOFF * 2.0 ** min(known.failures - 1, 8), _LAST_BACKOFF)
        return backoff * random.uniform(0.75, 1.25)  # noqa: S311 - jitter, not a secret

    async def _tick(self, key: Key, known: _Looked) -> str:
        where = {"namespace": key[0], "aiapi": key[1]}
        try:
            async with asyncio.timeout(TICK_BOUND):
                await self._engine.tick(known.subject)
        except LeadershipLostError:
            return "standby"
        except AIApiDeletedError:
            raise
        except ClusterError as error:
            _log.warning("the tick failed: %s", error, extra=where)
            return "cluster"
        except TimeoutError:
            _log.warning("the tick took longer than %g s", TICK_BOUND, extra=where)
            return "timeout"
        except Exception as error:  # noqa: BLE001 - one AIApi's trouble must not end its task
            _log.exception("the tick failed", extra=where)
            await self._tell_failure(known, error, where)
            return "error"
        return "ok"

    async def _tell_failure(self, known: _Looked, error: Exception, where: dict[str, str]) -> None:
        try:
            async with asyncio.timeout(TICK_BOUND):
                await self._engine.fail(known.subject, error)
        except Exception:  # noqa: BLE001 - telling of a failure must not be another
            _log.exception("the failure could not be told", extra=where)


def _key(manifest: Manifest) -> Key:
    return manifest["metadata"]["namespace"], manifest["metadata"]["name"]


def _generation(manifest: Manifest) -> int:
    return int(manifest["metadata"].get("generation", 0))


def _interval(manifest: Manifest) -> float:
    told = ((manifest.get("spec") or {}).get("scaling") or {}).get("interval", "")
    if isinstance(told, str) and is_duration(told):
        return min(60.0, max(0.5, parse_duration(told)))
    return DEFAULT_INTERVAL
