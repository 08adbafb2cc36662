"""Runs one asyncio task per AIApi, so that no AIApi delays another.

A task ticks at the AIApi's interval, counted from the start of the previous tick, less often while
the AIApi is idle (see pace.py), and shortly after the AIApi or its children change. A failed tick
is reported and repeated with backoff. A task ends only when its AIApi is deleted.

A tick that starts late does not make the next one due earlier, so missed ticks are not made up
for; the lateness of each tick shows them.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from aiapi_operator.api.duration import is_duration, parse_duration
from aiapi_operator.cluster.errors import ClusterError
from aiapi_operator.cluster.resources import Manifest
from aiapi_operator.cluster.watch import Listed
from aiapi_operator.engine.aiapi_state import AIApiState
from aiapi_operator.engine.cache import Key, ObjectCache, is_newer
from aiapi_operator.engine.existence import AIApiDeletedError
from aiapi_operator.engine.ports import Leadership
from aiapi_operator.engine.shards import DRAIN_LABEL, labels_of
from aiapi_operator.engine.tenure import LeadershipLostError, NotOwnedError
from aiapi_operator.engine.tick import Engine
from aiapi_operator.engine.tick_queue import TickQueue, Turn

DEFAULT_INTERVAL = 2.0
MIN_PAUSE = 0.25
"""Minimum seconds between two ticks of one AIApi, and from a change to the tick that sees it."""
SLOT = 0.1
"""Seconds. Ticks begin at multiples of it, so that those of many AIApis follow each other while
caches are warm: a tick takes 1.6 ms of CPU then, and up to 4 ms alone."""
TICK_TIMEOUT = 45.0
"""Seconds that a tick may take from when it begins; the time in the queue does not count."""
OVERDUE_AFTER = 2 * TICK_TIMEOUT
"""Seconds, beyond the interval, after which an AIApi is overdue if its tick neither began nor
ended and does not wait for its turn."""
_FIRST_BACKOFF = 1.0
_MAX_BACKOFF = 30.0
_STANDBY_INTERVAL = 1.0

_log = logging.getLogger(__name__)


class TickMetrics(Protocol):
    """Records ticks."""

    def record_tick(self, key: Key, *, seconds: float, lag: float, outcome: str) -> None:
        """Record a tick: its duration, seconds from when it was due to its start, its outcome."""

    def forget(self, key: Key) -> None:
        """Remove the series of a deleted AIApi."""


@dataclass(slots=True)
class _Entry:
    """One AIApi and its task."""

    state: AIApiState
    moved: float
    """When its tick last began or ended."""
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    changed: float | None = None
    """When the first change arrived that no tick has seen."""
    edited: bool = False
    """The user changed the spec, and no tick has seen it."""
    turn: Turn | None = None
    """Set while its tick waits for its turn."""
    task: asyncio.Task[None] | None = None
    failures: int = 0

    @property
    def interval(self) -> float:
        """Seconds from the start of the last tick to the next one."""
        return max(_interval(self.state.manifest), self.state.pace.interval)

    def on_change(self, now: float) -> None:
        """A change arrived."""
        if self.changed is None:
            self.changed = now
        self.wake.set()

    def on_start(self, now: float) -> None:
        """A tick starts. It sees all changes that have arrived."""
        self.moved = now
        self.changed = None
        self.edited = False
        self.wake.clear()


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
        self._queue = TickQueue()
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
            known = entry.state.manifest
            has_new_spec = manifest["metadata"]["generation"] != _generation(known)
            is_draining = DRAIN_LABEL in labels_of(manifest) and DRAIN_LABEL not in labels_of(known)
            entry.state.update_manifest(manifest)
            if has_new_spec:
                self._on_edit(entry)
            elif is_draining:
                entry.on_change(self._clock())

    def _on_edit(self, entry: _Entry) -> None:
        entry.edited = True
        entry.on_change(self._clock())
        if entry.turn is not None:
            self._queue.move_to_front(entry.turn)

    def on_aiapi_delete(self, manifest: Manifest) -> None:
        """Handle a deleted AIApi. The garbage collector deletes its children."""
        entry = self._entries.get(_key(manifest))
        if entry is not None and entry.state.ref.uid == manifest["metadata"]["uid"]:
            self._end(_key(manifest))

    def on_activators_change(self) -> None:
        """Handle that other activators are ready than before."""
        for entry in self._entries.values():
            if entry.state.switch.known:
                entry.on_change(self._clock())

    def on_autoscalers_change(self, keys: Iterable[Key]) -> None:
        """Handle that other autoscalers target these AIApis than before."""
        for key in keys:
            self._wake(key)

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
        for entry in self._entries.values():
            entry.state.close()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._entries.clear()

    def known(self) -> Collection[Key]:
        """The AIApis that are known."""
        return self._entries.keys()

    def aiapis(self) -> list[Manifest]:
        """The last version of every AIApi."""
        return [entry.state.full_manifest() for entry in self._entries.values()]

    def overdue(self) -> list[str]:
        """The AIApis whose last tick began and ended too long ago, and that wait for no turn.

        Called by another thread.
        """
        limit = self._clock() - OVERDUE_AFTER
        return [
            "/".join(key)
            for key, entry in tuple(self._entries.items())
            if entry.turn is None and entry.moved < limit - entry.interval
        ]

    def _start(self, key: Key, manifest: Manifest) -> None:
        if self._stopped or manifest["metadata"].get("deletionTimestamp"):
            return
        self._engine.register(manifest)
        entry = _Entry(AIApiState(manifest, partial(self._wake, key)), moved=self._clock())
        self._entries[key] = entry
        entry.task = asyncio.create_task(self._run(key, entry), name="/".join(key))

    def _end(self, key: Key) -> None:
        entry = self._entries[key]
        if entry.task is not None:
            entry.task.cancel()
        self._forget(key)

    def _forget(self, key: Key) -> None:
        self._entries.pop(key).state.close()
        self._engine.release(key)
        self._cache.drop(key)
        self._metrics.forget(key)

    def _wake(self, key: Key | None) -> None:
        if key is not None and key in self._entries:
            self._entries[key].on_change(self._clock())

    async def _run(self, key: Key, entry: _Entry) -> None:
        # A random delay keeps AIApis that start together from ticking together.
        due = earliest = self._clock() + random.uniform(0, 0.1)  # noqa: S311 - jitter, not a secret
        while True:
            due = await self._await_turn(entry, due, earliest)
            started = self._clock()
            entry.on_start(started)
            try:
                pause = await self._run_once(key, entry, lag=max(0.0, started - due))
            except AIApiDeletedError:
                _log.info("the AIApi was deleted", extra=entry.state.ref.log_fields())
                self._forget(key)
                return
            except NotOwnedError:
                _log.info("another shard takes over", extra=entry.state.ref.log_fields())
                self._forget(key)
                return
            entry.moved = self._clock()
            earliest = entry.moved + MIN_PAUSE
            due = (entry.moved if entry.failures else started) + pause

    async def _await_turn(self, entry: _Entry, due: float, earliest: float) -> float:
        """Wait until the next tick may start. Returns when it was due."""
        if not entry.failures:  # events must not shorten the backoff after a failure
            await self._await_change(entry, max(due, earliest) - self._clock())
            if entry.changed is not None:
                due = min(due, entry.changed + MIN_PAUSE)
        due = _slot(due)
        rest = _slot(max(due, earliest)) - self._clock()
        if rest > 0:
            await asyncio.sleep(rest)
        await self._take_turn(entry, due)
        return due

    async def _await_change(self, entry: _Entry, seconds: float) -> None:
        """Wait for a change, but not longer. A timeout would cost an exception in each tick."""
        timer = asyncio.get_running_loop().call_later(seconds, entry.wake.set)
        try:
            await entry.wake.wait()
        finally:
            timer.cancel()

    async def _take_turn(self, entry: _Entry, due: float) -> None:
        entry.turn = self._queue.turn(due)
        if entry.edited:
            self._queue.move_to_front(entry.turn)
        await entry.turn
        entry.turn = None

    async def _run_once(self, key: Key, entry: _Entry, *, lag: float) -> float:
        """Run one tick. Returns the seconds from its start, or from a failure, to the next one."""
        if not self._leadership.held():
            entry.state.close()
            return _STANDBY_INTERVAL
        started = self._clock()
        outcome = await self._tick(entry)
        self._metrics.record_tick(key, seconds=self._clock() - started, lag=lag, outcome=outcome)
        if outcome == "ok":
            entry.failures = 0
            return entry.interval
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
        except (AIApiDeletedError, NotOwnedError):
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


def _slot(time: float) -> float:
    """The nearest time at which ticks begin: 7.93 s is 7.9 s."""
    return round(time / SLOT) * SLOT


def _key(manifest: Manifest) -> Key:
    return manifest["metadata"]["namespace"], manifest["metadata"]["name"]


def _generation(manifest: Manifest) -> int:
    return int(manifest["metadata"].get("generation", 0))


def _interval(manifest: Manifest) -> float:
    interval = ((manifest.get("spec") or {}).get("scaling") or {}).get("interval", "")
    if isinstance(interval, str) and is_duration(interval):
        return min(60.0, max(0.5, parse_duration(interval)))
    return DEFAULT_INTERVAL
