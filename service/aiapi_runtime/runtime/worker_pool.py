"""Keeps as many workers as are wanted: starts, retires, replaces, and spreads connections.

Nothing here waits. Every event (a message, a death, a tick) changes the workers' state and ends in
`reconcile`, so that a worker that leaves slowly is never in the way of anything.
"""

import asyncio
import logging
import os
import random
import signal
from collections.abc import Callable
from time import monotonic

from aiapi_runtime.runtime.balance import give, shares
from aiapi_runtime.runtime.blocked_places import BlockedPlaces
from aiapi_runtime.runtime.channel import FILES_PER_MESSAGE, Channel, ClosedError
from aiapi_runtime.runtime.loading import last_line
from aiapi_runtime.runtime.settings import Settings
from aiapi_runtime.runtime.spawner import Spawner
from aiapi_runtime.runtime.worker_process import State, WorkerProcess
from aiapi_runtime.telemetry.app_metrics import AppMetrics
from aiapi_runtime.telemetry.layout import Cell
from aiapi_runtime.telemetry.shared_memory import PodTotals, WorkerMemory

logger = logging.getLogger("aiapi.supervisor")

_SETTLED_SECONDS = 5.0
_BACKOFF_FIRST = 0.25
_BACKOFF_MOST = 30.0
_BACKOFF_DOUBLINGS = 10
_REBALANCE_SECONDS = 30.0
# What a worker that has failed has for its exit.
_EXIT_SECONDS = 2.0


class WorkerPool:
    """All workers of the pod."""

    def __init__(
        self, settings: Settings, memory: WorkerMemory, totals: PodTotals, wanted: int
    ) -> None:
        self._settings = settings
        self.app_metrics = AppMetrics(memory)
        self.blocks = BlockedPlaces()
        self._memory = memory
        self._totals = totals
        self.spawner: Spawner
        self.wanted = wanted
        self.workers: dict[int, WorkerProcess] = {}
        self.failure = ""
        self.failures = 0
        self.retry_at = 0.0
        self.ending = False
        self.on_ready: Callable[[], None] = lambda: None
        self._orphans: list[int] = []
        self._rebalance_until = 0.0

    def of(self, state: State) -> list[WorkerProcess]:
        return [worker for worker in self.workers.values() if worker.state is state]

    def blocked(self, worker: WorkerProcess, bound: float, now: float) -> bool:
        beat = self._memory.slots[worker.slot].numbers[Cell.BEAT_AT]
        return beat > 0 and now - beat > bound

    def want(self, count: int) -> None:
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
            for worker in (*self.of(State.STARTING), *self.of(State.READY))
            if not worker.asked_to_go
        ]
        self._retire(staying, now)
        missing = self.wanted - len(staying)
        if missing > 0 and now >= self.retry_at:
            # One at a time while it fails: it would fail for all of them alike.
            try:
                self._start(min(missing, 1) if self.failures else missing)
            except OSError as error:
                # The machine is out of files, processes or memory; those that serve go on.
                self.failed(f"cannot start a worker: {error}")

    def _retire(self, staying: list[WorkerProcess], now: float) -> None:
        ready = [worker for worker in staying if worker.state is State.READY]
        # Those that do not serve yet go first, so at least one that serves stays.
        victims = sorted(
            staying,
            key=lambda worker: (
                worker.state is State.READY,
                not self.blocked(worker, self._settings.blocked_after, now),
                self._connections(worker),
                -worker.born,
            ),
        )[: max(0, len(staying) - self.wanted)]
        if len(ready) >= self.wanted:
            victims += [worker for worker in self.of(State.READY) if worker.asked_to_go]
        for worker in victims:
            worker.leave(last=False, seconds=self._settings.leave_limit)

    def _start(self, count: int) -> None:
        if not self.spawner.pid:
            self.spawner.start()
        if not self.spawner.loaded:
            return
        free = [slot for slot in range(self._settings.slots) if slot not in self.workers]
        for slot in free[:count]:
            ours, theirs = Channel.pair()
            ours.sock.setblocking(False)
            worker = WorkerProcess(slot=slot, channel=ours, born=monotonic())
            self.workers[slot] = worker
            asyncio.get_running_loop().add_reader(ours.fileno(), self._listen, worker)
            # When the zygote is gone its copy is closed with ours, and the worker is dropped.
            self.spawner.order(slot, theirs)
            theirs.close()

    def forked(self, slot: int, pid: int) -> None:
        if slot in self.workers:
            self.workers[slot].pid = pid

    def _listen(self, worker: WorkerProcess) -> None:
        while True:
            try:
                received = worker.channel.receive()
            except ClosedError:
                asyncio.get_running_loop().remove_reader(worker.channel.fileno())
                # Its process id may still lie in the zygote's channel.
                self.spawner.listen()
                if not worker.pid:
                    self._drop(worker)
                return
            if received is None:
                return
            message, files = received
            match message["is"]:
                case "ready":
                    self._became_ready(worker, message["pid"])
                case "failed":
                    worker.failure = message["traceback"]
                    # It is over, but a thread of the app's may keep its process.
                    worker.deadline = min(worker.deadline, monotonic() + _EXIT_SECONDS)
                case "asked":
                    worker.asked_to_go = True
                    self.reconcile()
                case "series":
                    self.app_metrics.define(worker.slot, message)
                case "idle":
                    self._orphans += files
                    self._place_orphans()

    def _became_ready(self, worker: WorkerProcess, pid: int) -> None:
        worker.pid = pid
        if worker.state is State.DRAINING:
            worker.serves_after_all()
            return
        worker.state = State.READY
        worker.ready_at = monotonic()
        logger.info(
            "worker %d is ready after %.0f ms (%d of %d)",
            pid,
            1000 * (worker.ready_at - worker.born),
            len(self.of(State.READY)),
            self.wanted,
        )
        self._rebalance_until = worker.ready_at + _REBALANCE_SECONDS
        self._place_orphans()
        self.on_ready()
        self.reconcile()

    def _drop(self, worker: WorkerProcess) -> None:
        self.workers.pop(worker.slot, None)
        asyncio.get_running_loop().remove_reader(worker.channel.fileno())
        worker.channel.close()
        self._note_blocks(worker)
        self.blocks.forget(worker.slot)
        self._totals.fold(worker.slot, monotonic())
        self.app_metrics.fold(worker.slot)

    def ended(self, pid: int, status: str) -> None:
        """A worker's process was reaped."""
        worker = next((one for one in self.workers.values() if one.pid == pid), None)
        if worker is None:
            return
        self._listen(worker)
        self._drop(worker)
        now = monotonic()
        if worker.state is State.STARTING:
            self.failed(worker.failure or f"worker {pid} {status} before it was ready")
        elif worker.state is State.READY:
            logger.error("worker %d %s, replacing it", pid, worker.failure or status)
            if now - worker.ready_at < _SETTLED_SECONDS:
                self.failed(worker.failure or f"worker {pid} {status}")
        self.reconcile()

    def failed(self, traceback: str) -> None:
        """A start failed: say why, with what is new of it, and wait ever longer before the next."""
        now = monotonic()
        known, self.failure = traceback == self.failure, traceback
        if now < self.retry_at:
            return
        # Bounded in the exponent, too: a day of failures makes a number that no float can hold.
        delay = min(_BACKOFF_MOST, _BACKOFF_FIRST * 2 ** min(self.failures, _BACKOFF_DOUBLINGS))
        self.failures += 1
        self.retry_at = now + delay * random.uniform(0.9, 1.1)  # noqa: S311 - jitter, not a secret
        logger.error(
            "cannot start %s: %s; trying again in %.1f s%s",
            self._settings.app,
            last_line(traceback),
            delay,
            "" if known else f"\n{traceback.rstrip()}",
        )

    def tick(self) -> None:
        now = monotonic()
        self.spawner.check(now)
        for worker in self.workers.values():
            worker.gifts = 0
            self._note_blocks(worker)
            overdue = now > worker.deadline or (
                worker.state is State.STARTING and now - worker.born > self._settings.start_limit
            )
            if overdue and worker.pid:
                worker.failure = worker.failure or self._overdue(worker)
                if self.ending and not worker.ready_at:
                    logger.info("worker %d has not started yet, ending it", worker.pid)
                else:
                    logger.error("worker %d is overdue, killing it", worker.pid)
                os.kill(worker.pid, signal.SIGKILL)
        ready = self.of(State.READY)
        settled = all(now - one.ready_at > _SETTLED_SECONDS for one in ready)
        if settled and len(ready) >= self.wanted and now >= self.retry_at:
            self.failures = 0
            self.failure = ""
        self._place_orphans()
        self._rebalance(now)
        self.reconcile()

    def _note_blocks(self, worker: WorkerProcess) -> None:
        slot = self._memory.slots[worker.slot]
        self.blocks.note(worker.slot, int(slot.numbers[Cell.BLOCKS]), slot.text)

    def _overdue(self, worker: WorkerProcess) -> str:
        place = self._memory.slots[worker.slot].text
        standing = f"; it stands at {place}" if place else ""
        return f"its start takes longer than --start-limit{standing}"

    def _connections(self, worker: WorkerProcess) -> int:
        return int(self._memory.slots[worker.slot].numbers[Cell.CONNECTIONS]) + worker.gifts

    def _rebalance(self, now: float) -> None:
        """After a growth: those with more than their share say good-bye to some clients."""
        ready = self.of(State.READY)
        if now > self._rebalance_until or len(ready) < 2:
            return
        for worker, count in zip(
            ready, shares([self._connections(one) for one in ready]), strict=True
        ):
            if count or worker.shedding:
                worker.shedding = count > 0
                worker.channel.send({"do": "shed", "count": count})

    def _place_orphans(self) -> None:
        """Idle connections of a worker that leaves go to those with the fewest."""
        homes = [one for one in self.workers.values() if one.state is State.READY or one.last]
        if not self._orphans or not homes:
            return
        files, self._orphans = self._orphans, []
        counts = give(len(files), [self._connections(one) for one in homes])
        for home, count in zip(homes, counts, strict=True):
            share, files = files[:count], files[count:]
            for start in range(0, count, FILES_PER_MESSAGE):
                self._give(home, share[start : start + FILES_PER_MESSAGE])

    def _give(self, home: WorkerProcess, files: list[int]) -> None:
        if not home.channel.send({"do": "adopt"}, files):
            self._orphans += files
            return
        home.gifts += len(files)
        for file in files:
            os.close(file)

    def end(self, seconds: float) -> None:
        """The pod ends: all leave, and whoever dies is not replaced."""
        self.ending = True
        for worker in self.workers.values():
            worker.leave(last=True, seconds=seconds)

    def kill(self) -> None:
        for worker in self.workers.values():
            if worker.pid:
                os.kill(worker.pid, signal.SIGKILL)
