"""Learns of the first request of an idle fleet at once, without scraping it.

Each pod is asked for its numbers and holds the answer back until a request arrives, its workers
change, or the time is over. The first answer ends the watch, and so does a lost connection.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from aiapi_operator.observe.connections import Connections
from aiapi_operator.observe.http_answer import HttpAnswer
from aiapi_operator.observe.pod_connection import PodConnection
from aiapi_operator.sizing.inputs import PodSample

_REQUEST = (
    b"GET /stats?histograms=short&wait=%d&requests=%d HTTP/1.1\r\n"
    b"Host: %b\r\nAuthorization: Bearer %b\r\n\r\n"
)


class Watch(Protocol):
    """What goes on until it ends or is ended."""

    def end(self) -> None:
        """Stop it."""


class RequestWatch:
    """Waits for the first answer of several pods."""

    def __init__(self, connections: Connections, on_answer: Callable[[], None]) -> None:
        self._connections = connections
        self._on_answer: Callable[[], None] | None = on_answer
        self._asked: set[PodConnection] = set()

    def ask(
        self,
        held: Sequence[PodConnection],
        samples: Sequence[PodSample],
        *,
        token: bytes,
        seconds: int,
    ) -> None:
        """Ask each pod, over a connection of its own. ``samples`` are their last ones."""
        for connection, sample in zip(held, samples, strict=True):
            self._asked.add(connection)
            known = requests_of(sample)
            connection.ask(_REQUEST % (seconds, known, connection.host, token), self)

    def end(self) -> None:
        """Close the connections of the pods that have not answered."""
        self._on_answer = None
        asked, self._asked = self._asked, set()
        for connection in asked:
            connection.abort()

    def answered(self, connection: PodConnection, answer: HttpAnswer) -> None:
        self._asked.discard(connection)
        if answer.keeps_alive:
            self._connections.keep(connection)
        else:
            connection.abort()
        self._report()

    def failed(self, reason: str) -> None:
        del reason
        self._report()

    def lost(self, connection: PodConnection, reason: str, *, unanswered: bool) -> None:
        del reason, unanswered
        self._asked.discard(connection)
        self._report()

    def _report(self) -> None:
        report, self._on_answer = self._on_answer, None
        if report is not None:
            report()


def requests_of(sample: PodSample) -> int:
    """Requests so far, ended or open, and open WebSockets: what the pod compares."""
    ended = sample.succeeded + sample.client_errors + sample.server_errors
    return ended + sample.cancelled + sample.shed + sample.in_flight + sample.open_websockets
