"""One scrape of several pods, with one deadline for all of them."""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiapi_operator.observe.connections import Connections
from aiapi_operator.observe.http_answer import HttpAnswer
from aiapi_operator.observe.pod_connection import PodConnection
from aiapi_operator.observe.stats import InvalidStatsError, parse
from aiapi_operator.observe.target import ScrapeTarget
from aiapi_operator.sizing.inputs import PodSample, PodUnknown

ScrapeObserver = Callable[[str, float], None]
"""Called after each scrape with its outcome, ``ok`` or ``failed``, and its duration in seconds."""

# An older pod ignores the query and answers in the full form.
_REQUEST = b"GET /stats?histograms=short HTTP/1.1\r\nHost: %b\r\nAuthorization: Bearer %b\r\n\r\n"
_LATE = 0.1
"""A timer that is later than this shows that the operator had no time, and not the pods."""


@dataclass(frozen=True, slots=True)
class RoundParts:
    """What all rounds share."""

    connections: Connections
    clock: Callable[[], float]
    deadline: float
    observer: ScrapeObserver


class ScrapeRound:
    """Asks each pod once. A pod that could not be asked in time has no answer."""

    def __init__(
        self, parts: RoundParts, targets: Sequence[ScrapeTarget], tokens: Sequence[bytes]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[None] = self._loop.create_future()
        self._deadline = parts.deadline
        self._scrapes = [PodScrape(parts, target, tokens, self._finished) for target in targets]
        self._open = len(targets)

    async def answers(self, first: int) -> tuple[PodSample | PodUnknown, ...]:
        """The answers in the order of the targets. The one at ``first`` is asked first."""
        due = self._loop.time() + self._deadline
        self._timer = self._loop.call_at(due, self._expire, due)
        try:
            for scrape in (*self._scrapes[first:], *self._scrapes[:first]):
                scrape.start()
            await self._done
        finally:
            self._timer.cancel()
            # The scrapes refer to their round. Without this only the garbage collector frees them.
            scrapes, self._scrapes = self._scrapes, []
            for scrape in scrapes:
                if scrape.waits():
                    scrape.end()
        return tuple([each.answer for each in scrapes if each.answer is not None])

    def _finished(self) -> None:
        self._open -= 1
        if not self._open and not self._done.done():
            self._done.set_result(None)

    def _expire(self, due: float) -> None:
        late = self._loop.time() - due
        if late > _LATE:
            # The pods had less time than the deadline. They get what is missing, once.
            self._timer = self._loop.call_later(min(late, self._deadline), self._give_up)
        else:
            self._give_up()

    def _give_up(self) -> None:
        for scrape in self._scrapes:
            scrape.expire()
        if not self._done.done():
            self._done.set_result(None)


class PodScrape:
    """The scrape of one pod.

    After a 401 it asks again with the next token: a pod receives a new token up to a minute late
    and accepts the old one until then. Where the pod has closed a kept connection before any byte
    of the answer, it asks once more on a new one.
    """

    __slots__ = (
        "_asked",
        "_attempt",
        "_connection",
        "_ended",
        "_finished",
        "_parts",
        "_retried",
        "_started",
        "_token",
        "_tokens",
        "answer",
        "target",
    )

    def __init__(
        self,
        parts: RoundParts,
        target: ScrapeTarget,
        tokens: Sequence[bytes],
        finished: Callable[[], None],
    ) -> None:
        self.target = target
        self.answer: PodSample | PodUnknown | None = None
        self._parts = parts
        self._tokens = tokens
        self._finished = finished
        self._started = parts.clock()
        self._asked = math.inf
        """When the operator began to connect or to ask; not before its turn."""
        self._attempt: asyncio.Task[None] | None = None
        self._connection: PodConnection | None = None
        self._token = 0
        self._retried = self._ended = False

    def start(self) -> None:
        if not self._tokens:
            self._unknown("no usable admin token is known")
            return
        kept = self._parts.connections.take(self.target)
        if kept is None:
            self._connect()
        else:
            self._asked = time.monotonic()
            self.connected(kept)

    def expire(self) -> None:
        """The deadline is over."""
        if self._ended:
            return
        part = "connection" if self._connection is None else "answer"
        self.end()
        # A pod that waited for its turn most of the time is not silent.
        if time.monotonic() - self._asked > self._parts.deadline / 2:
            self._unknown(f"no {part} within {self._parts.deadline:g} s")

    def end(self) -> None:
        """Stop what is in progress."""
        self._ended = True
        if self._connection is not None:
            self._connection.abort()
        if self._attempt is not None:
            self._attempt.cancel()

    def starts(self, attempt: asyncio.Task[None]) -> None:
        self._attempt, self._asked = attempt, time.monotonic()

    def waits(self) -> bool:
        return not self._ended

    def connected(self, connection: PodConnection) -> None:
        self._connection, self._attempt = connection, None
        connection.ask(_REQUEST % (connection.host, self._tokens[self._token]), self)

    def unreachable(self, reason: str) -> None:
        self._unknown(reason)

    def failed(self, reason: str) -> None:
        self._unknown(reason)

    def lost(self, connection: PodConnection, reason: str, *, unanswered: bool) -> None:
        if unanswered and connection.has_answered and not self._retried:
            self._retried = True
            self._connect()
        else:
            self._unknown(reason)

    def answered(self, connection: PodConnection, answer: HttpAnswer) -> None:
        if answer.status == 401 and self._token + 1 < len(self._tokens):
            self._token += 1
            if answer.keeps_alive:
                self.connected(connection)
            else:
                connection.abort()
                self._connect()
            return
        if answer.keeps_alive:
            self._parts.connections.keep(connection)
        else:
            connection.abort()
        self._read(answer)

    def _connect(self) -> None:
        self._connection, self._asked = None, math.inf
        self._parts.connections.connect(self)

    def _read(self, answer: HttpAnswer) -> None:
        if answer.status == 401:
            self._unknown("invalid answer: the pod rejects the admin token (401)")
            return
        now = self._parts.clock()
        try:
            sample = parse(answer.body, pod=self.target.pod, time=now)
        except InvalidStatsError as error:
            self._unknown(f"invalid answer: {error}")
        else:
            self._finish("ok", sample, now)

    def _unknown(self, reason: str) -> None:
        pod = PodUnknown(pod=self.target.pod, ready=self.target.ready, reason=reason)
        self._finish("failed", pod, self._parts.clock())

    def _finish(self, outcome: str, answer: PodSample | PodUnknown, now: float) -> None:
        self._connection, self._ended = None, True
        self.answer = answer
        self._parts.observer(outcome, now - self._started)
        self._finished()
