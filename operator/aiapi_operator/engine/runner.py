"""Runs one asyncio task per AIApi, so that no AIApi delays another.

A task ticks at the AIApi's interval, and immediately when the AIApi or its children change. A
failed tick is reported and repeated with backoff. A task ends only when its AIApi is deleted.
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
from aiapi_operator.cluster.watch import Listed
from aiapi_operator.engine.aiapi_state import AIApiState
from aiapi_operator.engine.cache import Key, ObjectCache, is_newer
from aiapi_operator.engine.existence import AIApiDeletedError
from aiapi_operator.engine.ports import Leadership
from aiapi_operator.engine.tick import Engine, LeadershipLostError

DEFAULT_INTERVAL = 2.0
MIN_PAUSE = 0.25
"""Minimum seconds between two ticks of one AIApi."""
TICK_TIMEOUT = 45.0
OVERDUE_AFTER = 2 * TICK_TIMEOUT
"""Seconds without a finished tick, beyond the interval, after which an AIApi is overdue."""
_FIRST_BACKOFF = 1.0
_MAX_BACKOFF = 30.0
_STANDBY_INTERVAL = 1.0

_log = logging.getLogger(__name__)


class TickMetrics(Protocol):
    """Records ticks."""

    def record_tick(self, key: Key, *, seconds: float, lag: float, outcome: str) -> None:
        """Record a tick: its duration, how late it started, and its outcome."""

    def forget(self, key: Key) -> None:
        """Remove the series of a deleted AIApi."""


@dataclass(slots=True)
class _Entry:
    """One AIApi and its task."""

    state: AIApiState
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    finished: float = 0.0
    failures: int = 0


class Runner:
    """Starts, wakes and ends the tasks as watch events arrive."""

    def __init__(
        self,
        engine: Engine,
        cache: ObjectCache,
        leadership: Leadership,
        metrics: TickMetrics,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._cache = cache
        self._leadership = leadership
        self._metrics = metrics
        self._clock = clock
        self._entries: dict[Key, _Entry] = {}
        self._stopped = False

    def on_aiapi_update(self, manifest: Manifest) -> None:
        """Handle an AIApi that exists, was created, or changed."""
        key = _key(manifest)
        entry = self._entries.get(key)
        if entry is not None and entry.state.ref.uid != manifest["metadata"]["uid"]:
            self._end(key)
            entry = None
        if entry is None:
            self._start(key, manifest)
        elif is_newer(manifest, entry.state.manifest):
            has_new_spec = manifest["metadata"]["generation"] != _generation(entry.state.manifest)
            entry.state.update_manifest(manifest)
            if has_new_spec:
                entry.wake.set()

    def on_aiapi_delete(self, manifest: Manifest) -> None:
        """Handle a deleted AIApi. The garbage collector deletes its children."""
        entry = self._entries.get(_key(manifest))
        if entry is not None and entry.state.ref.uid == manifest["metadata"]["uid"]:
            self._end(_key(manifest))

    def on_child_update(self, manifest: Manifest) -> None:
        """Handle a child or a pod that exists, was created, or changed."""
        self._wake(self._cache.put(manifest))

    def on_child_delete(self, manifest: Manifest) -> None:
        """Handle a deleted child or pod."""
        self._wake(self._cache.remove(manifest))

    def on_list(self, listed: Listed) -> None:
        """Handle a complete list of children of one kind, or of pods."""
        for key in self._cache.keep_listed(listed):
            self._wake(key)

    async def stop(self) -> None:
        """End all tasks. Nothing in the cluster changes."""
        self._stopped = True
        tasks = [entry.task for entry in self._entries.values() if entry.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._entries.clear()

    def aiapis(self) -> list[Manifest]:
        """The last version of every AIApi."""
        return [entry.state.manifest for entry in self._entries.values()]

    def overdue(self) -> list[str]:
        """The AIApis whose last tick finished too long ago."""
        limit = self._clock() - OVERDUE_AFTER
        return [
            "/".join(key)
            for key, entry in self._entries.items()
            if entry.finished < limit - _interval(entry.state.manifest)
        ]

    def _start(self, key: Key, manifest: Manifest) -> None:
        if self._stopped or manifest["metadata"].get("deletionTimestamp"):
            return
        entry = _Entry(AIApiState(manifest), finished=self._clock())
        self._entries[key] = entry
        entry.task = asyncio.create_task(self._run(key, entry), name="/".join(key))

    def _end(self, key: Key) -> None:
        entry = self._entries[key]
        if entry.task is not None:
            entry.task.cancel()
        self._forget(key)

    def _forget(self, key: Key) -> None:
        del self._entries[key]
        self._cache.drop(key)
        self._metrics.forget(key)

    def _wake(self, key: Key | None) -> None:
        if key is not None and key in self._entries:
            self._entries[key].wake.set()

    async def _run(self, key: Key, entry: _Entry) -> None:
        # A random delay keeps AIApis that start together from ticking together.
        due = self._clock() + random.uniform(0, 0.1)  # noqa: S311 - jitter, not a secret
        while True:
            await self._pause(entry, due)
            started = self._clock()
            try:
                pause = await self._run_once(key, entry, lag=max(0.0, started - due))
            except AIApiDeletedError:
                _log.info("the AIApi was deleted", extra=entry.state.ref.log_fields())
                self._forget(key)
                return
            entry.finished = self._clock()
            due = max(started + pause, entry.finished + MIN_PAUSE)

    async def _pause(self, entry: _Entry, due: float) -> None:
        """Wait until ``due``, or less when something changed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, due - self._clock())):
                await entry.wake.wait()
                if entry.failures:
                    # Events must not shorten the backoff after a failure.
                    await asyncio.sleep(_MAX_BACKOFF)
                await asyncio.sleep(MIN_PAUSE)
        entry.wake.clear()

    async def _run_once(self, key: Key, entry: _Entry, *, lag: float) -> float:
        """Run one tick. Returns the seconds until the next one."""
        if not self._leadership.held():
            return _STANDBY_INTERVAL
        started = self._clock()
        outcome = await self._tick(entry)
        self._metrics.record_tick(key, seconds=self._clock() - started, lag=lag, outcome=outcome)
        if outcome == "ok":
            entry.failures = 0
            return _interval(entry.state.manifest)
        entry.failures += 1
        backoff = min(_FIRST_BACKOFF * 2.0 ** min(entry.failures - 1, 8), _MAX_BACKOFF)
        return backoff * random.uniform(0.75, 1.25)  # noqa: S311 - jitter, not a secret

    async def _tick(self, entry: _Entry) -> str:
        fields = entry.state.ref.log_fields()
        try:
            async with asyncio.timeout(TICK_TIMEOUT):
                await self._engine.tick(entry.state)
        except LeadershipLostError:
            return "standby"
        except AIApiDeletedError:
            raise
        except ClusterError as error:
            _log.warning("the tick failed: %s", error, extra=fields)
            return "cluster"
        except TimeoutError:
            _log.warning("the tick took longer than %g s", TICK_TIMEOUT, extra=fields)
            return "timeout"
        except Exception as error:  # noqa: BLE001 - a defect must not end the AIApi's task
            _log.exception("the tick failed", extra=fields)
            await self._report_failure(entry, error)
            return "error"
        return "ok"

    async def _report_failure(self, entry: _Entry, error: Exception) -> None:
        try:
            async with asyncio.timeout(TICK_TIMEOUT):
                await self._engine.fail(entry.state, error)
        except Exception:  # noqa: BLE001 - a failed report must not end the AIApi's task
            _log.exception("reporting the failure failed", extra=entry.state.ref.log_fields())


def _key(manifest: Manifest) -> Key:
    return manifest["metadata"]["namespace"], manifest["metadata"]["name"]


def _generation(manifest: Manifest) -> int:
    return int(manifest["metadata"].get("generation", 0))


def _interval(manifest: Manifest) -> float:
    interval = ((manifest.get("spec") or {}).get("scaling") or {}).get("interval", "")
    if isinstance(interval, str) and is_duration(interval):
        return min(60.0, max(0.5, parse_duration(interval)))
    return DEFAULT_INTERVAL
