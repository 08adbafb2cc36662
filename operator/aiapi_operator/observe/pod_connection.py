"""One connection to a pod's admin port: one question at a time, never pipelined."""

import asyncio
from typing import Protocol, cast

from aiapi_operator.observe.http_answer import BadAnswerError, HttpAnswer
from aiapi_operator.observe.target import ScrapeTarget

Key = tuple[str, int]
"""The address and port of a pod."""
_BUFFER = memoryview(bytearray(65536))
"""Where bytes arrive, of all connections: each one reads them before the next is served. A buffer
for each answer takes 2 of 30 us."""
_NONE = HttpAnswer()
"""While nobody asks. The last answer is not kept: it has a kilobyte or two."""


class Asker(Protocol):
    """Who waits for the answer on a connection."""

    def answered(self, connection: "PodConnection", answer: HttpAnswer) -> None:
        """The answer is complete."""

    def failed(self, reason: str) -> None:
        """The answer is invalid, and its connection is closed."""

    def lost(self, connection: "PodConnection", reason: str, *, unanswered: bool) -> None:
        """The pod closed the connection; ``unanswered`` if it did so before any byte."""


class Owner(Protocol):
    """Who keeps the connection while nobody asks."""

    def lost(self, connection: "PodConnection") -> None:
        """The connection is closed."""


class PodConnection(asyncio.BufferedProtocol):
    """A connection, with the target that it was opened for."""

    def __init__(self, target: ScrapeTarget, owner: Owner) -> None:
        self.key: Key = (target.address, target.port)
        self.tls = target.tls
        self.host = target.host.encode("latin-1")
        self.has_answered = False
        self.idle_since = 0.0
        self._owner = owner
        self._asker: Asker | None = None
        self._answer = _NONE
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def ask(self, request: bytes, asker: Asker) -> None:
        """Send a request. The asker gets the answer, unless ``abort`` is called before that."""
        self._asker = asker
        self._answer = HttpAnswer()
        self._transport.write(request)

    def get_buffer(self, sizehint: int) -> memoryview:
        del sizehint
        return _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        asker = self._asker
        if asker is None:
            # An answer to nothing: what follows could be taken for the next answer.
            self.abort()
            return
        try:
            if not self._answer.feed(_BUFFER[:nbytes]):
                return
        except BadAnswerError as error:
            self.abort()
            asker.failed(f"invalid answer: {error}")
            return
        answer, self._answer = self._answer, _NONE
        self._asker, self.has_answered = None, True
        asker.answered(self, answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self._owner.lost(self)
        asker, self._asker = self._asker, None
        if asker is None:
            return
        unanswered = self._answer.is_empty
        part = "without an answer" if unanswered else "before the end of its answer"
        reason = f"the pod closed the connection {part}" + (f": {exc}" if exc else "")
        asker.lost(self, reason, unanswered=unanswered)

    @property
    def is_open(self) -> bool:
        return not self._transport.is_closing()

    def abort(self) -> None:
        """Close without waiting for the pod. Nobody gets an answer any more."""
        self._asker = None
        self._transport.abort()
