"""One HTTP/1.1 connection to an upstream: a request goes out in one piece, the parser is llhttp.

One request at a time. Who has it says when the answer is done with, and whether it may be kept.
"""

import asyncio
from typing import cast

import httptools
import httpx

# A head that is longer is no head; a body that nobody reads is not read on.
_LONGEST_HEAD = 1 << 17
_HIGH_WATER = 1 << 18
_NO_BODY = (204, 304)


class Connection(asyncio.Protocol):
    """Made by the loop when it has connected."""

    transport: asyncio.Transport

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[None] | None = None
        self.place = ("", "", 0)
        self.used = False
        self.idle_since = 0.0
        self._lost = False
        self._expect_nothing()

    def _expect_nothing(self) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.heard = 0
        self._pieces: list[bytes] = []
        self._kept = 0
        self._paused = False
        self._asked = False
        self._ends_at_close = False
        self._complete = False
        self._may_stay = False
        self._error: httpx.TransportError | None = None

    @property
    def is_open(self) -> bool:
        return not (self._lost or self.transport.is_closing())

    @property
    def reusable(self) -> bool:
        """The answer is over, and so is the request: either side may say something new."""
        return (
            self._complete
            and self._may_stay
            and self.is_open
            and not self.transport.get_write_buffer_size()
        )

    async def ask(self, request: bytes, seconds: float) -> None:
        """Send it and wait for the head of the answer, no longer than that."""
        self._expect_nothing()
        self._asked = True
        if not self.is_open:
            self._error = httpx.ReadError("closed before it was asked")
        else:
            self.transport.write(request)
        while not self.status:
            if self._error is not None:
                raise self._error
            await self._wait(seconds)

    async def piece(self, seconds: float) -> bytes:
        """What has come of the body; nothing when it is over."""
        while True:
            if self._pieces:
                piece = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
                self._pieces = []
                self._kept = 0
                if self._paused:
                    self._paused = False
                    self.transport.resume_reading()
                return piece
            if self._complete:
                return b""
            if self._error is not None:
                raise self._error
            await self._wait(seconds)

    def rest(self) -> None:
        """The answer is done with: what comes before the next request is none."""
        self.used = True
        self._asked = False

    async def _wait(self, seconds: float) -> None:
        waiter = self._waiter = self._loop.create_future()
        timer = self._loop.call_later(seconds, self._late, waiter, seconds)
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiter = None

    @staticmethod
    def _late(waiter: "asyncio.Future[None]", seconds: float) -> None:
        if not waiter.done():
            waiter.set_exception(httpx.ReadTimeout(f"nothing for {seconds:g} s"))

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if not self._asked:
            self.transport.abort()
            return
        self.heard += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._may_stay = False
            self._fail(httpx.RemoteProtocolError(f"not HTTP/1.1: {error}"))
        if not self.status and self.heard > _LONGEST_HEAD:
            self._fail(httpx.RemoteProtocolError("the head of the answer does not end"))
        if self.status:
            self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        if not self._asked or self._complete:
            return
        if self._ends_at_close and exc is None and self._error is None:
            self._complete = True
            self._wake()
        else:
            self._fail(httpx.ReadError(str(exc) if exc else "closed before the answer was over"))

    def _fail(self, error: httpx.TransportError) -> None:
        if self._complete or self._error is not None:
            return
        self._error = error
        self.transport.abort()
        self._wake()

    def on_message_begin(self) -> None:
        """Of the parser. An interim answer (1xx) comes before the one that counts."""
        if self._complete:
            raise ValueError("an answer that was not asked for")
        self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Of the parser; those behind the body are nobody's business."""
        if not self.status:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Of the parser."""
        status = self._parser.get_status_code()
        if status < 200:
            if status == 101:
                raise ValueError("another protocol was not asked for")
            return
        self.status = status
        names = {name.lower() for name, _ in self.headers}
        framed = b"content-length" in names or b"transfer-encoding" in names
        self._ends_at_close = not framed and status not in _NO_BODY

    def on_body(self, body: bytes) -> None:
        """Of the parser."""
        self._pieces.append(body)
        self._kept += len(body)
        if self._kept > _HIGH_WATER and not self._paused:
            self._paused = True
            self.transport.pause_reading()

    def on_message_complete(self) -> None:
        """Of the parser."""
        if self.status:
            self._complete = True
            self._may_stay = self._parser.should_keep_alive()
