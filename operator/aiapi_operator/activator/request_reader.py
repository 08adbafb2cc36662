"""Reads one request with llhttp, which is strict: it refuses what servers read in different ways.

Ambiguous lengths, folded headers and bare line feeds are errors there. Bounds and what a proxy
must not pass on are checked here.
"""

from http import HTTPStatus

import httptools

from aiapi_operator.activator.answers import Answer
from aiapi_operator.activator.head import Header, RequestHead

HEAD_BYTES = 64 * 1024
HEADERS = 256
_FRAMING = (b"content-length", b"transfer-encoding")


class BadRequest(Exception):  # noqa: N818 - the name of the status
    """The bytes are no request that can be passed on."""

    def __init__(self, reason: str, status: int = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(reason)
        self.answer = Answer(status, reason, "bad_request")


class RequestReader:
    """Feed it bytes; then read ``head``, ``take()`` and ``ended``."""

    __slots__ = ("_bytes", "_checked", "_headers", "_parser", "_pieces", "_url", "ended", "head")

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._headers: list[Header] = []
        self._bytes = 0
        self._pieces: list[bytes] = []
        self._checked = False
        self.head: RequestHead | None = None
        self.ended = False

    def feed(self, data: bytes) -> None:
        """Read more bytes. Those behind the end of the request are ignored, except behind the
        handshake of a WebSocket: they belong to it. Raises ``BadRequest``."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgraded(data[upgrade.args[0] :])
        except (httptools.HttpParserError, httptools.HttpParserCallbackError) as error:
            if not self.ended:
                raise BadRequest(f"This is not a valid HTTP/1.1 request: {error}") from error
        if self.head is None:
            self._bytes += len(data)
        self._check()

    def take(self) -> bytes:
        """The body bytes since the last call."""
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken

    def _check(self) -> None:
        if self._bytes > HEAD_BYTES or len(self._headers) > HEADERS:
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise BadRequest(f"The head has over {HEAD_BYTES} bytes or {HEADERS} lines", status)
        if self.head is not None and not self._checked:
            self._checked = True
            _check_head(self.head)

    def _upgraded(self, rest: bytes) -> None:
        """llhttp ends where another protocol may begin. One that is not passed on may not."""
        head = self.head
        if head is None or head.upgrades or head.method == b"CONNECT":
            self._pieces.append(rest)
            return
        framing = [(n, v) for n, v in head.headers if n.lower() in _FRAMING]
        lines = b"".join(b"%s: %s\r\n" % header for header in framing)
        self.ended = False
        self._parser = httptools.HttpRequestParser(self)
        self.feed(b"POST / HTTP/1.1\r\n" + lines + b"\r\n" + rest)

    # Called by the parser.

    def on_url(self, url: bytes) -> None:
        """A part of the target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which is dropped."""
        if self.head is None:
            self._headers.append((name, value))
        else:
            self._bytes += len(name) + len(value) + 4

    def on_headers_complete(self) -> None:
        """The head has ended."""
        if self.head is None:
            parser = self._parser
            version = parser.get_http_version().encode()
            self.head = RequestHead(parser.get_method(), self._url, version, self._headers)
            self._bytes = sum(len(name) + len(value) + 4 for name, value in self._headers)

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        if not self.ended:
            self._pieces.append(body)

    def on_message_complete(self) -> None:
        """The request has ended."""
        self.ended = True


def _check_head(head: RequestHead) -> None:
    """Refuse what llhttp reads and a pod's server may read in another way."""
    encodings = [value for name, value in head.headers if name.lower() == b"transfer-encoding"]
    if encodings and (head.version != b"1.1" or encodings[0].strip().lower() != b"chunked"):
        raise BadRequest("Transfer-Encoding must be chunked, in HTTP/1.1")
    if head.version not in (b"1.0", b"1.1") or head.method == b"CONNECT":
        raise BadRequest("Only HTTP/1.1 requests to this service are accepted")
