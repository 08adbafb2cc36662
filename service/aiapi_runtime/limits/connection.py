"""A worker's connections: Uvicorn's on httptools, but bounded and followed to their end."""

from collections import deque
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from aiapi_runtime.limits import heads
from aiapi_runtime.limits.bounded import BoundedConnection
from aiapi_runtime.limits.framing import framing_of, new_parser

_FRESH_PIPELINE: Any = ()


class _RefusedError(Exception):
    """Stops the parser."""


class WholeRequestProtocol(BoundedConnection, HttpToolsProtocol):  # type: ignore[misc]  # Uvicorn types the transport more narrowly
    """Uvicorn stops following a request once it is answered, even while its body still arrives.

    A connection is idle, and may move to another worker, only after the whole body has arrived.
    """

    _head_bytes = 0
    """What has arrived of a head that is not complete yet."""

    _possible_bytes = 0
    """As much may belong to the head that is being parsed."""

    _harmless_bytes = 0
    """A head of so many bytes is within all limits."""

    _silent_since = 0.0
    """The loop's time when the last response ended, or the last data arrived without a request."""

    _hosts = 0
    _refusal = heads.INVALID
    _running: Any = None
    """The request in progress while others wait behind it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        limits = self.head_limits
        self._harmless_bytes = min(limits.size, limits.headers * heads.SHORTEST_HEADER)
        # An empty deque takes 0.8 kB per connection.
        self.pipeline = _FRESH_PIPELINE

    def data_received(self, data: bytes) -> None:
        self._possible_bytes = self._head_bytes + len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgrade(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError:
            self.refuse(self._refusal)
            return
        cycle = self.cycle
        if cycle is None or cycle.scope is not self.scope:
            self._follow_head(len(data))
        elif cycle.response_complete:
            self._await_request()

    def _follow_head(self, size: int) -> None:
        if self.scope is None:
            self._await_request()
            return
        # Where the head began in this data, an unknown part of it belongs to what was before.
        self._head_bytes += size if self._head_timer is not None else len(self.url)
        self._await_head()
        if self._head_bytes > self.head_limits.size:
            self.refuse(heads.too_large(self.head_limits))
        elif len(self.headers) > self.head_limits.headers:
            self.refuse(heads.too_many(self.head_limits))

    def _upgrade(self, rest: bytes) -> None:
        if self._should_upgrade():
            if self._open_cycles():
                # Uvicorn would answer it in the middle of the response before it.
                self.refuse(heads.INVALID)
            else:
                self._unset_keepalive_if_required()
                self.handle_websocket_upgrade()
            return
        # The parser skips the body of any upgrade and stops. A server that does not upgrade answers
        # the request as any other (RFC 9110, 7.8), so another parser goes on where it stopped.
        framing = framing_of(self.parser.get_http_version(), self.headers)
        self.parser = new_parser(self)
        self.parser.feed_data(framing)
        if rest:
            self.data_received(rest)

    def on_header(self, name: bytes, value: bytes) -> None:
        # Replaces Uvicorn's, with one comparison more: it runs for each header.
        name = name.lower()
        if name == b"host":
            self._hosts += 1
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._head_timer is not None:
            self._head_bytes = 0
            self._end_of_head()
        if self._hosts != 1 or self._possible_bytes > self._harmless_bytes:
            self._check_head()
        self._hosts = 0
        before = self.cycle
        if before is not None and not before.response_complete and not self.pipeline:
            self.pipeline = deque()
            self._running = before
        super().on_headers_complete()

    def _check_head(self) -> None:
        limits = self.head_limits
        if self._hosts != 1 and (self._hosts or self.parser.get_http_version() == "1.1"):
            self._stop(heads.wrong_host(self._hosts))
        if len(self.headers) > limits.headers:
            self._stop(heads.too_many(limits))
        if (
            self._possible_bytes > limits.size
            and heads.head_size(self.url, self.headers) > limits.size
        ):
            self._stop(heads.too_large(limits))

    def _stop(self, refusal: heads.Refusal) -> None:
        self._refusal = refusal
        raise _RefusedError(refusal.detail)

    def on_body(self, body: bytes) -> None:
        if not self.cycle.response_complete:
            super().on_body(body)
        elif not self._count_unread(len(body)):
            raise _RefusedError("the body of a request that was answered")

    def on_message_complete(self) -> None:
        # Replaces Uvicorn's, which returns early where the response is complete; calling it as well
        # would add measurable cost to each request.
        if self.parser.should_upgrade():
            return
        self.cycle.more_body = False
        self.cycle.message_event.set()

    def on_response_complete(self) -> None:
        if self.pipeline or self.transport.is_closing():
            self._running = self.pipeline[-1][0] if self.pipeline else None
            super().on_response_complete()
        else:
            # Replaces Uvicorn's, which makes a timer for each response and cancels it.
            self.server_state.total_requests += 1
            self.flow.resume_reading()
            self._await_request()
        if self.cycle.more_body:
            self._after_response()

    def _await_request(self) -> None:
        self._silent_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            super()._await_request()

    def timeout_keep_alive_handler(self) -> None:
        self.timeout_keep_alive_task = None
        if self._open_cycles() or self._head_timer is not None:
            # The end of the response sets it again.
            return
        left = self._silent_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self.timeout_keep_alive_task = self.loop.call_later(
                left, self.timeout_keep_alive_handler
            )
        else:
            super().timeout_keep_alive_handler()

    def connection_lost(self, exc: Exception | None) -> None:
        # Uvicorn tells the last request only, and one before it may be in progress.
        for cycle in self._open_cycles():
            cycle.disconnected = True
            cycle.message_event.set()
        self.pipeline = _FRESH_PIPELINE
        super().connection_lost(exc)

    def _open_cycles(self) -> list[Any]:
        if not self.pipeline:
            return super()._open_cycles()
        queued = [cycle for cycle, _ in reversed(self.pipeline)]
        return [self._running, *queued]
