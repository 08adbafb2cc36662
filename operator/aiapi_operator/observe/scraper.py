"""Scrapes the pods of one AIApi at a time, over connections that stay open between ticks.

A pod that does not answer, rejects the token or returns invalid data becomes a ``PodUnknown``
with the reason, never a sample of zeros. A pod that was not asked in time, because the operator had
no time or no free connection, has no answer: its last one stays, with its own time.
"""

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from aiapi_operator.observe.connections import Connections
from aiapi_operator.observe.request_watch import RequestWatch
from aiapi_operator.observe.scrape_round import RoundParts, ScrapeObserver, ScrapeRound
from aiapi_operator.observe.target import ScrapeTarget
from aiapi_operator.sizing.inputs import PodSample, PodUnknown

DEADLINE = 1.0
MAX_CONNECTIONS = 512
MAX_ATTEMPTS = 64
"""Connections that are opened at the same time. More would delay each other's TLS handshakes."""


class StatsScraper:
    """Reads ``/stats`` from the pods' admin ports."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        deadline: float = DEADLINE,
        observer: ScrapeObserver = lambda _outcome, _seconds: None,
        max_connections: int = MAX_CONNECTIONS,
        max_attempts: int = MAX_ATTEMPTS,
    ) -> None:
        self._connections = Connections(limit=max_connections, attempts=max_attempts)
        self._parts = RoundParts(self._connections, clock, deadline, observer)
        self._rounds = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._connections.close()

    async def scrape(
        self, targets: Sequence[ScrapeTarget], tokens: Sequence[str]
    ) -> tuple[PodSample | PodUnknown, ...]:
        """At most one answer per target, in their order."""
        if not targets:
            return ()
        usable = _usable(tokens)
        # Where connections are scarce, each pod is the first to get one in its turn.
        self._rounds += 1
        round_ = ScrapeRound(self._parts, targets, usable)
        return await round_.answers(first=self._rounds % len(targets))

    def watch(
        self,
        targets: Sequence[ScrapeTarget],
        samples: Sequence[PodSample],
        tokens: Sequence[str],
        *,
        seconds: int,
        on_answer: Callable[[], None],
    ) -> RequestWatch | None:
        """Call ``on_answer`` at the first request to these pods, or after ``seconds``.

        ``samples`` are the last ones of the targets. None where connections are scarce.
        """
        usable, held = _usable(tokens), None
        if usable:
            held = self._connections.hold(targets)
        if held is None:
            return None
        watch = RequestWatch(self._connections, on_answer)
        watch.ask(held, samples, token=usable[0], seconds=seconds)
        return watch


def _usable(tokens: Sequence[str]) -> list[bytes]:
    return [token.encode() for token in tokens if token.isascii() and token.isprintable()]
