"""Keeps as many workers as are wanted: starts, retires, replaces, and spreads connections.

Nothing here waits. Every event (a message, a death, a tick) changes the members' state and ends in
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
from aiapi_runtime.runtime.blocks import Blocks
from aiapi_runtime.runtime.channel import FILES_A_MESSAGE, Channel, ClosedError
from aiapi_runtime.runtime.hatchery import Hatchery
from aiapi_runtime.runtime.loading import last_line
from aiapi_runtime.runtime.member import Member, State
from aiapi_runtime.runtime.settings import Settings
from aiapi_runtime.telemetry.arena import Arena, Ledger
from aiapi_runtime.telemetry.layout import Cell
from aiapi_runtime.telemetry.series import Catalogue

logger = logging.getLogger("aiapi.supervisor")

_SETTLED_SECONDS = 5.0
_BACKOFF_FIRST = 0.25
_BACKOFF_MOST = 30.0
_BACKOFF_DOUBLINGS = 10
_REBALANCE_SECONDS = 30.0
# What a worker that has failed has for its exit.
_EXIT_SECONDS = 2.0


class Crew:
    """All workers of the pod."""

    def __init__(self, settings: Settings, arena: Arena, ledger: Ledger, wanted: int) -> None:
        self._settings = settings
        self.catalogue = Catalogue(arena)
        self.blocks = Blocks()
        self._arena = arena
        self._ledger = ledger
        self.hatchery: Hatchery
        self.wanted = wanted
        self.members: dict[int, Member] = {}
        self.failure = ""
        self.failures = 0
        self.retry_at = 0.0
        self.ending = False
        self.on_ready: Callable[[], None] = lambda: None
        self._orphans: list[int] = []
        self._rebalance_until = 0.0

    def of(self, state: State) -> list[Member]:
        return [member for member in self.members.values() if member.state is state]

    def blocked(self, member: Member, bound: float, now: float) -> bool:
        beat = self._arena.slots[member.slot].numbers[Cell.BEAT_AT]
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
            member
            for member in (*self.of(State.STARTING), *self.of(State.READY))
            if not member.asked_to_go
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

    def _retire(self, staying: list[Member], now: float) -> None:
        ready = [member for member in staying if member.state is State.READY]
        # Those that do not serve yet go first, so at least one that serves stays.
        victims = sorted(
            staying,
            key=lambda member: (
                member.state is State.READY,
                not self.blocked(member, self._settings.blocked_after, now),
                self._connections(member),
                -member.born,
            ),
        )[: max(0, len(staying) - self.wanted)]
        if len(ready) >= self.wanted:
            victims += [member for member in self.of(State.READY) if member.asked_to_go]
        for member in victims:
            member.leave(last=False, seconds=self._settings.leave_limit)

    def _start(self, count: int) -> None:
        if not self.hatchery.pid:
            self.hatchery.start()
        if not self.hatchery.loaded:
            return
        free = [slot for slot in range(self._settings.slots) if slot not in self.members]
        for slot in free[:count]:
            ours, theirs = Channel.pair()
            ours.sock.setblocking(False)
            member = Member(slot=slot, channel=ours, born=monotonic())
            self.members[slot] = member
            asyncio.get_running_loop().add_reader(ours.fileno(), self._listen, member)
            # When the zygote is gone its copy is closed with ours, and the member is dropped.
            self.hatchery.order(slot, theirs)
            theirs.close()

    def forked(self, slot: int, pid: int) -> None:
        if slot in self.members:
            self.members[slot].pid = pid

    def _listen(self, member: Member) -> None:
        while True:
            try:
                received = member.channel.receive()
            except ClosedError:
                asyncio.get_running_loop().remove_reader(member.channel.fileno())
                # Its process id may still lie in the zygote's channel.
                self.hatchery.listen()
                if not member.pid:
                    self._drop(member)
                return
            if received is None:
                return
            message, files = received
            match message["is"]:
                case "ready":
                    self._became_ready(member, message["pid"])
                case "failed":
                    member.failure = message["traceback"]
                    # It is over, but a thread of the app's may keep its process.
                    member.deadline = min(member.deadline, monotonic() + _EXIT_SECONDS)
                case "asked":
                    member.asked_to_go = True
                    self.reconcile()
                case "series":
                    self.catalogue.define(member.slot, message)
                case "idle":
                    self._orphans += files
                    self._place_orphans()

    def _became_ready(self, member: Member, pid: int) -> None:
        member.pid = pid
        if member.state is State.DRAINING:
            member.serves_after_all()
            return
        member.state = State.READY
        member.ready_at = monotonic()
        logger.info(
            "worker %d is ready after %.0f ms (%d of %d)",
            pid,
            1000 * (member.ready_at - member.born),
            len(self.of(State.READY)),
            self.wanted,
        )
        self._rebalance_until = member.ready_at + _REBALANCE_SECONDS
        self._place_orphans()
        self.on_ready()
        self.reconcile()

    def _drop(self, member: Member) -> None:
        self.members.pop(member.slot, None)
        asyncio.get_running_loop().remove_reader(member.channel.fileno())
        member.channel.close()
        self._note_blocks(member)
        self.blocks.forget(member.slot)
        self._ledger.fold(member.slot, monotonic())
        self.catalogue.fold(member.slot)

    def ended(self, pid: int, status: str) -> None:
        """A worker's process was reaped."""
        member = next((one for one in self.members.values() if one.pid == pid), None)
        if member is None:
            return
        self._listen(member)
        self._drop(member)
        now = monotonic()
        if member.state is State.STARTING:
            self.failed(member.failure or f"worker {pid} {status} before it was ready")
        elif member.state is State.READY:
            logger.error("worker %d %s, replacing it", pid, member.failure or status)
            if now - member.ready_at < _SETTLED_SECONDS:
                self.failed(member.failure or f"worker {pid} {status}")
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
        self.hatchery.check(now)
        for member in self.members.values():
            member.gifts = 0
            self._note_blocks(member)
            overdue = now > member.deadline or (
                member.state is State.STARTING and now - member.born > self._settings.start_limit
            )
            if overdue and member.pid:
                member.failure = member.failure or self._overdue(member)
                if self.ending and not member.ready_at:
                    logger.info("worker %d has not started yet, ending it", member.pid)
                else:
                    logger.error("worker %d is overdue, killing it", member.pid)
                os.kill(member.pid, signal.SIGKILL)
        ready = self.of(State.READY)
        settled = all(now - one.ready_at > _SETTLED_SECONDS for one in ready)
        if settled and len(ready) >= self.wanted and now >= self.retry_at:
            self.failures = 0
            self.failure = ""
        self._place_orphans()
        self._rebalance(now)
        self.reconcile()

    def _note_blocks(self, member: Member) -> None:
        slot = self._arena.slots[member.slot]
        self.blocks.note(member.slot, int(slot.numbers[Cell.BLOCKS]), slot.text)

    def _overdue(self, member: Member) -> str:
        place = self._arena.slots[member.slot].text
        standing = f"; it stands at {place}" if place else ""
        return f"its start takes longer than --start-limit{standing}"

    def _connections(self, member: Member) -> int:
        return int(self._arena.slots[member.slot].numbers[Cell.CONNECTIONS]) + member.gifts

    def _rebalance(self, now: float) -> None:
        """After a growth: those with more than their share say good-bye to some clients."""
        ready = self.of(State.READY)
        if now > self._rebalance_until or len(ready) < 2:
            return
        for member, count in zip(
            ready, shares([self._connections(one) for one in ready]), strict=True
        ):
            if count or member.shedding:
                member.shedding = count > 0
                member.channel.send({"do": "shed", "count": count})

    def _place_orphans(self) -> None:
        """Idle connections of a worker that leaves go to those with the fewest."""
        homes = [one for one in self.members.values() if one.state is State.READY or one.last]
        if not self._orphans or not homes:
            return
        files, self._orphans = self._orphans, []
        counts = give(len(files), [self._connections(one) for one in homes])
        for home, count in zip(homes, counts, strict=True):
            share, files = files[:count], files[count:]
            for start in range(0, count, FILES_A_MESSAGE):
                self._give(home, share[start : start + FILES_A_MESSAGE])

    def _give(self, home: Member, files: list[int]) -> None:
        if not home.channel.send({"do": "adopt"}, files):
            self._orphans += files
            return
        home.gifts += len(files)
        for file in files:
            os.close(file)

    def end(self, seconds: float) -> None:
        """The pod ends: all leave, and whoever dies is not replaced."""
        self.ending = True
        for member in self.members.values():
            member.leave(last=True, seconds=seconds)

    def kill(self) -> None:
        for member in self.members.values():
            if member.pid:
                os.kill(member.pid, signal.SIGKILL)
