"""Reads the response of a pod with llhttp."""

import httptools

from aiapi_operator.activator.head import Header, ResponseHead

_HEAD_BYTES = 1024 * 1024


class BadResponse(Exception):  # noqa: N818 - the counterpart of BadRequest
    """The bytes are no response that can be passed on."""


class ResponseReader:
    """Feed it bytes; then read ``informational``, ``head``, ``take()``, ``ended``, ``tunnel``."""

    __slots__ = (
        "_bytes",
        "_headers",
        "_method",
        "_parser",
        "_pieces",
        "_reason",
        "ended",
        "head",
        "informational",
        "tunnel",
    )

    def __init__(self, method: bytes) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._method = method
        self._reason = b""
        self._headers: list[Header] = []
        self._bytes = 0
        self._pieces: list[bytes] = []
        self.informational: list[ResponseHead] = []
        """Heads below 200 that came before the response."""
        self.head: ResponseHead | None = None
        self.ended = False
        self.tunnel: bytes | None = None
        """After 101: bytes of the other protocol that came with the head."""

    def feed(self, data: bytes) -> None:
        """Read more bytes. Raises ``BadResponse``."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self.tunnel = data[upgrade.args[0] :]
        except (httptools.HttpParserError, httptools.HttpParserCallbackError) as error:
            if not self.ended:
                raise BadResponse(str(error)) from error
        if self.head is None:
            self._bytes += len(data)
            if self._bytes > _HEAD_BYTES:
                raise BadResponse(f"its head has over {_HEAD_BYTES} bytes")

    def eof(self) -> bool:
        """The pod closed the connection. Returns whether the response is complete."""
        head = self.head
        if head is not None and not head.chunked and not head.has_length:
            self.ended = True
        return self.ended

    def take(self) -> list[bytes]:
        """The parts of the body since the last call."""
        taken, self._pieces = self._pieces, []
        return taken

    # Called by the parser.

    def on_status(self, reason: bytes) -> None:
        """A part of the reason phrase."""
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which is dropped."""
        if self.head is None:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """A head has ended."""
        if self.head is not None:
            return
        status = self._parser.get_status_code()
        head = ResponseHead(status, self._reason, self._headers)
        self._reason, self._headers = b"", []
        if status < 200 and status != 101:
            self.informational.append(head)
            return
        self.head = head
        self.ended = status != 101 and not head.has_body(self._method)

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        if self.head is not None and not self.ended:
            self._pieces.append(body)

    def on_message_complete(self) -> None:
        """A response has ended; an informational one is followed by another."""
        if self.head is not None and self.head.status != 101:
            self.ended = True
