"""Keeps the wanted number of workers: starts, drains and replaces them, and balances connections.

Nothing here waits. Every event (a message, an exit, a tick) changes the workers' state and ends in
`reconcile`, so a worker that drains slowly never delays anything else.
"""

import asyncio
import logging
import os
import random
import signal
from collections.abc import Callable
from time import monotonic

from aiapi_runtime.runtime.balance import distribute, excess
from aiapi_runtime.runtime.blocked_places import BlockedPlaces
from aiapi_runtime.runtime.channel import FILES_PER_MESSAGE, Channel, ClosedError
from aiapi_runtime.runtime.loading import last_line
from aiapi_runtime.runtime.settings import RuntimeSettings
from aiapi_runtime.runtime.spawner import Spawner
from aiapi_runtime.runtime.worker_process import WorkerProcess, WorkerState
from aiapi_runtime.telemetry import run_queue
from aiapi_runtime.telemetry.app_metrics import AppMetrics
from aiapi_runtime.telemetry.layout import Cell
from aiapi_runtime.telemetry.shared_memory import PodTotals, SlotMemory
from aiapi_runtime.telemetry.start_times import StartTimes

logger = logging.getLogger("aiapi.supervisor")

_SETTLED_SECONDS = 5.0
_MIN_BACKOFF_SECONDS = 0.25
_MAX_BACKOFF_SECONDS = 30.0
_MAX_BACKOFF_DOUBLINGS = 10
_REBALANCE_SECONDS = 30.0
# The time a worker that reported a failure has to exit.
_EXIT_SECONDS = 2.0


class WorkerPool:
    """All workers of the pod."""

    def __init__(
        self, settings: RuntimeSettings, memory: SlotMemory, totals: PodTotals, wanted: int
    ) -> None:
        self._settings = settings
        self.app_metrics = AppMetrics(memory)
        self.blocked_places = BlockedPlaces()
        self.start_times = StartTimes()
        self._memory = memory
        self._totals = totals
        self.spawner: Spawner
        self.wanted = wanted
        self.workers: dict[int, WorkerProcess] = {}
        self.loop: str | None = None
        self.http: str | None = None
        self.has_served = False
        self.failure = ""
        self.import_failure = ""
        """Why the first import failed: see `loading.import_failure`."""

        self.gives_up = False
        """An app whose first import fails is not retried."""

        self.failures = 0
        self.retry_at = 0.0
        self.ending = False
        self.on_ready: Callable[[], None] = lambda: None
        self._unplaced: list[int] = []
        self._rebalance_until = 0.0

    @property
    def cannot_serve(self) -> bool:
        return self.gives_up and bool(self.import_failure)

    def in_state(self, state: WorkerState) -> list[WorkerProcess]:
        return [worker for worker in self.workers.values() if worker.state is state]

    def is_blocked(self, worker: WorkerProcess, seconds: float, now: float) -> bool:
        """Whether a callback has held its loop for `seconds`; a wait for a CPU does not count."""
        numbers = self._memory.slots[worker.slot].numbers
        late = now - numbers[Cell.BEAT_AT]
        if not numbers[Cell.SERVING] or late <= seconds:
            return False
        return late - run_queue.waited_since(worker.pid, numbers[Cell.RUN_QUEUE_AT_BEAT]) > seconds

    def scale(self, count: int) -> None:
        if count != self.wanted:
            logger.info("workers wanted: %d -> %d", self.wanted, count)
        self.wanted = count
        self.reconcile()

    def reconcile(self) -> None:
        if self.ending:
            return
        now = monotonic()
        staying = [
            worker
            for worker in (
                *self.in_state(WorkerState.STARTING),
                *self.in_state(WorkerState.READY),
            )
            if not worker.exit_requested
        ]
        self._drain_surplus(staying, now)
        missing = self.wanted - len(staying)
        if missing > 0 and now >= self.retry_at:
            # One at a time after a failure: all of them would fail the same way.
            try:
                self._start(min(missing, 1) if self.failures else missing)
            except OSError as error:
                # The machine is out of files, processes or memory; running workers go on.
                self.failed(f"cannot start a worker: {error}")

    def _drain_surplus(self, staying: list[WorkerProcess], now: float) -> None:
        ready = [worker for worker in staying if worker.state is WorkerState.READY]
        # Workers that do not serve yet drain first, so at least one that serves stays.
        surplus = sorted(
            staying,
            key=lambda worker: (
                worker.state is WorkerState.READY,
                not self.is_blocked(worker, self._settings.blocked_after, now),
                *self._open_work(worker),
                self._connections(worker),
                -worker.started_at,
            ),
        )[: max(0, len(staying) - self.wanted)]
        if len(ready) >= self.wanted:
            surplus += [w for w in self.in_state(WorkerState.READY) if w.exit_requested]
        for worker in surplus:
            worker.drain(pod_ends=False, seconds=self._settings.leave_limit)

    def _start(self, count: int) -> None:
        if not self.spawner.pid:
            self.spawner.start()
        if not self.spawner.loaded:
            return
        free = [slot for slot in range(self._settings.slots) if slot not in self.workers]
        for slot in free[:count]:
            ours, theirs = Channel.pair()
            ours.sock.setblocking(False)
            worker = WorkerProcess(slot=slot, channel=ours, started_at=monotonic())
            self.workers[slot] = worker
            asyncio.get_running_loop().add_reader(ours.fileno(), self._receive, worker)
            # Without a fork server both copies of the other end are closed, which drops the worker.
            self.spawner.request_worker(slot, theirs)
            theirs.close()

    def forked(self, slot: int, pid: int) -> None:
        if slot in self.workers:
            self.workers[slot].pid = pid

    def _receive(self, worker: WorkerProcess) -> None:
        while True:
            try:
                received = worker.channel.receive()
            except ClosedError:
                asyncio.get_running_loop().remove_reader(worker.channel.fileno())
                # Its process id may still be in the fork server's channel.
                self.spawner.receive()
                if not worker.pid:
                    self._drop(worker)
                return
            if received is None:
                return
            message, files = received
            match message["event"]:
                case "ready":
                    self.loop, self.http = message["loop"], message["http"]
                    self._became_ready(worker, message["pid"], message["limit"])
                case "failed":
                    worker.failure = message["traceback"]
                    worker.failure_reason = message["reason"]
                    # A thread of the app may keep its process running.
                    worker.deadline = min(worker.deadline, monotonic() + _EXIT_SECONDS)
                case "exit_requested":
                    worker.exit_requested = True
                    self.reconcile()
                case "series":
                    self.app_metrics.define(worker.slot, message)
                case "idle":
                    self._unplaced += files
                    self._place_connections()

    def _became_ready(self, worker: WorkerProcess, pid: int, limit: int) -> None:
        worker.pid = pid
        worker.connection_limit = limit
        if worker.state is WorkerState.DRAINING:
            worker.became_ready_while_draining()
            return
        worker.state = WorkerState.READY
        worker.ready_at = monotonic()
        self.has_served = True
        self.start_times.observe(worker.ready_at - worker.started_at)
        logger.info(
            "worker %d is ready after %.0f ms (%d of %d)",
            pid,
            1000 * (worker.ready_at - worker.started_at),
            len(self.in_state(WorkerState.READY)),
            self.wanted,
        )
        self._rebalance_until = worker.ready_at + _REBALANCE_SECONDS
        self._place_connections()
        self.on_ready()
        self.reconcile()

    def _drop(self, worker: WorkerProcess) -> None:
        self.workers.pop(worker.slot, None)
        asyncio.get_running_loop().remove_reader(worker.channel.fileno())
        worker.channel.close()
        self._record_blocks(worker)
        self.blocked_places.forget(worker.slot)
        self._totals.fold(worker.slot, monotonic())
        self.app_metrics.fold(worker.slot)

    def ended(self, pid: int, status: str) -> None:
        """A worker's process was reaped."""
        worker = next((one for one in self.workers.values() if one.pid == pid), None)
        if worker is None:
            return
        self._receive(worker)
        self._drop(worker)
        now = monotonic()
        if worker.state is WorkerState.STARTING:
            failure = worker.failure or f"worker {pid} {status} before it was ready"
            self.failed(failure, worker.failure_reason)
        elif worker.state is WorkerState.READY:
            logger.error("worker %d %s, replacing it", pid, worker.failure or status)
            if now - worker.ready_at < _SETTLED_SECONDS:
                self.failed(worker.failure or f"worker {pid} {status}")
        self.reconcile()

    def failed(self, traceback: str, reason: str = "") -> None:
        """A start failed: log it, with the traceback when it is new, and back off."""
        now = monotonic()
        if not self.has_served:
            self.import_failure = reason
        known, self.failure = traceback == self.failure, traceback
        if now < self.retry_at:
            return
        # The exponent is bounded too: a day of failures would exceed the range of a float.
        doublings = min(self.failures, _MAX_BACKOFF_DOUBLINGS)
        delay = min(_MAX_BACKOFF_SECONDS, _MIN_BACKOFF_SECONDS * 2**doublings)
        self.failures += 1
        self.retry_at = now + delay * random.uniform(0.9, 1.1)  # noqa: S311 - jitter, not a secret
        logger.error(
            "cannot start %s: %s%s%s",
            self._settings.app,
            last_line(traceback),
            "" if self.cannot_serve else f"; retrying in {delay:.1f} s",
            "" if known else f"\n{traceback.rstrip()}",
        )

    def tick(self) -> None:
        now = monotonic()
        self.spawner.check(now)
        for worker in self.workers.values():
            worker.adopted = 0
            self._record_blocks(worker)
            overdue = now > worker.deadline or (
                worker.state is WorkerState.STARTING
                and now - worker.started_at > self._settings.start_limit
            )
            if overdue and worker.pid:
                worker.failure = worker.failure or self._overdue(worker)
                if self.ending and not worker.ready_at:
                    logger.info("worker %d has not started yet, killing it", worker.pid)
                else:
                    logger.error("worker %d is overdue, killing it", worker.pid)
                os.kill(worker.pid, signal.SIGKILL)
        ready = self.in_state(WorkerState.READY)
        settled = all(now - one.ready_at > _SETTLED_SECONDS for one in ready)
        if settled and len(ready) >= self.wanted and now >= self.retry_at:
            self.failures = 0
            self.failure = ""
        self._place_connections()
        self._rebalance(now)
        self.reconcile()

    def _record_blocks(self, worker: WorkerProcess) -> None:
        slot = self._memory.slots[worker.slot]
        self.blocked_places.record(worker.slot, int(slot.numbers[Cell.BLOCKS]), slot.text)

    def _overdue(self, worker: WorkerProcess) -> str:
        place = self._memory.slots[worker.slot].text
        blocked = f"; it is blocked at {place}" if place else ""
        return f"its start takes longer than --start-limit{blocked}"

    def _open_work(self, worker: WorkerProcess) -> tuple[float, float]:
        """What a drain may cut, then what it waits for. Idle connections just move."""
        numbers = self._memory.slots[worker.slot].numbers
        return numbers[Cell.WEBSOCKETS] + numbers[Cell.STREAMS], numbers[Cell.IN_FLIGHT]

    def _connections(self, worker: WorkerProcess) -> int:
        return int(self._memory.slots[worker.slot].numbers[Cell.CONNECTIONS]) + worker.adopted

    def _rebalance(self, now: float) -> None:
        """After a scale-up, workers with more than their share release connections."""
        ready = self.in_state(WorkerState.READY)
        if now > self._rebalance_until or len(ready) < 2:
            return
        for worker, count in zip(
            ready, excess([self._connections(one) for one in ready]), strict=True
        ):
            if count or worker.releasing:
                worker.releasing = count > 0
                worker.channel.send({"command": "release", "count": count})

    def _place_connections(self) -> None:
        """Idle connections of a draining worker go to the workers with the fewest."""
        targets = [
            one for one in self.workers.values() if one.state is WorkerState.READY or one.pod_ends
        ]
        if not self._unplaced or not targets:
            return
        files, self._unplaced = self._unplaced, []
        loads = [self._connections(one) for one in targets]
        counts = distribute(len(files), loads, [one.connection_limit for one in targets])
        for target, count in zip(targets, counts, strict=True):
            share, files = files[:count], files[count:]
            for start in range(0, count, FILES_PER_MESSAGE):
                self._hand_over(target, share[start : start + FILES_PER_MESSAGE])
        # Beyond its files a worker would lose them: they wait for room.
        self._unplaced += files

    def _hand_over(self, target: WorkerProcess, files: list[int]) -> None:
        if not target.channel.send({"command": "adopt"}, files):
            self._unplaced += files
            return
        target.adopted += len(files)
        for file in files:
            os.close(file)

    def end(self, seconds: float) -> None:
        """The pod ends: all workers drain, and none is replaced."""
        self.ending = True
        for worker in self.workers.values():
            worker.drain(pod_ends=True, seconds=seconds)

    def kill(self) -> None:
        for worker in self.workers.values():
            if worker.pid:
                os.kill(worker.pid, signal.SIGKILL)
