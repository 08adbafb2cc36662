"""The connection of a client: one request, after which the client is to connect again.

A client that closes its side has left: its request is dropped, held or not.
"""

import asyncio
from collections.abc import Callable
from typing import cast

from aiapi_operator.activator import answers
from aiapi_operator.activator.answers import Answer
from aiapi_operator.activator.backends import Backend
from aiapi_operator.activator.gate import Gate
from aiapi_operator.activator.head import RequestHead, render_request
from aiapi_operator.activator.ignored import PROBE_PATH, is_ignored
from aiapi_operator.activator.incoming import Incoming
from aiapi_operator.activator.request_reader import BadRequest
from aiapi_operator.activator.upstream import Upstream, connect

IDLE = 75.0
"""Seconds that a connection may be open without a request."""
HEAD_TIMEOUT = 10.0
_LINGER = 2.0
"""Seconds for which bytes are read and dropped after an early response. Closing at once would
reset the connection, and the client might lose the response."""
_IGNORED_HOLD = 2.0
"""Seconds that a health check waits for the pods to be probed."""


class ClientConnection(asyncio.Protocol):
    """One client."""

    __slots__ = (
        "_backend",
        "_body",
        "_done",
        "_gate",
        "_incoming",
        "_loop",
        "_responding",
        "_task",
        "_timer",
        "_transport",
        "_upstream",
        "first_byte_at",
        "hold_seconds",
        "wakes",
    )

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._incoming: Incoming | None = None
        self._body: list[bytes] = []
        self._upstream: Upstream | None = None
        self._backend: Backend | None = None
        self._task: asyncio.Task[None] | None = None
        self._responding = False
        self._done = False
        self.first_byte_at = 0.0
        self.hold_seconds = gate.shared.limits.seconds
        self.wakes = False

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected."""
        self._transport = cast("asyncio.Transport", transport)
        if not self._gate.connected(self):
            self.answer(answers.full("too many connections are open"))
            return
        self._timer = self._loop.call_later(IDLE, self._transport.close)

    def data_received(self, data: bytes) -> None:
        """Bytes of the request."""
        if self._done:
            return
        if self._incoming is None:
            self._first_byte()
        self._read(data)

    def connection_lost(self, _exc: Exception | None) -> None:
        """The client is gone."""
        self._end("client_left")
        if self._timer is not None:
            self._timer.cancel()
        self._transport = None
        self._gate.disconnected(self)

    def pause_writing(self) -> None:
        """The client reads slowly."""
        if self._upstream is not None:
            self._upstream.pause_reading()

    def resume_writing(self) -> None:
        """The client reads on."""
        if self._upstream is not None:
            self._upstream.resume_reading()

    # The request.

    @property
    def head(self) -> RequestHead | None:
        """The head of the request; None until it is complete."""
        return self._incoming.head if self._incoming is not None else None

    def _first_byte(self) -> None:
        self.first_byte_at = self._gate.shared.clock()
        self._incoming = Incoming()
        self._set_timer(HEAD_TIMEOUT, self._head_too_late)

    def _head_too_late(self) -> None:
        reason = f"The head of the request did not come within {HEAD_TIMEOUT:g} s"
        self.answer(Answer(408, reason, "bad_request"))

    def _set_timer(self, seconds: float, action: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, action)

    def _read(self, data: bytes) -> None:
        incoming = self._incoming
        assert incoming is not None  # noqa: S101 - set with the first byte
        is_new = incoming.head is None
        try:
            piece = incoming.feed(data)
        except BadRequest as error:
            self.answer(error.answer)
            return
        if piece:
            self._pass_on(piece)
        if is_new and incoming.head is not None:
            self._arrived(incoming.head)

    def _pass_on(self, data: bytes) -> None:
        if self._upstream is not None:
            self._upstream.write(data)
        else:
            self._body.append(data)
            self._gate.hold.buffered(self, len(data))

    def _arrived(self, head: RequestHead) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        path = head.path
        nonce = head.value(b"x-aiapi-probe")
        if nonce and path == PROBE_PATH:
            self._respond(answers.probe_answer(self._gate.shared.pod_name, nonce), "probe")
            return
        agent = head.value(b"user-agent").decode("latin-1")
        self.wakes = not is_ignored(path, agent, self._gate.fleet.ignore_paths)
        if not self.wakes:
            self.hold_seconds = _IGNORED_HOLD
        self._gate.submit(self, path)

    def pause(self) -> None:
        """Read no more for now."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    # The pod.

    def forward(self, backend: Backend) -> None:
        """Send the request to a pod."""
        head = self.head
        assert head is not None  # noqa: S101 - only a request with a head is forwarded
        self._backend = backend
        self._task = self._loop.create_task(self._connect(head, backend))

    async def _connect(self, head: RequestHead, backend: Backend) -> None:
        connected = await connect(self, head, backend.pod)
        self._task = None
        if not connected and self._upstream is None:
            self._backend = None
            self._gate.connect_failed(self, backend)

    def attach(self, upstream: Upstream) -> bool:
        """The pod accepted the connection: send what has come so far."""
        if self._done or self.head is None or self._transport is None:
            return False
        self._upstream = upstream
        address = self._transport.get_extra_info("peername")[0].removeprefix("::ffff:")
        upstream.write(b"".join([render_request(self.head, address), *self._body]))
        self._body.clear()
        self._gate.hold.released(self)
        self.resume()
        return True

    def write(self, data: bytes) -> None:
        """Bytes of the pod's response."""
        self._responding = True
        if self._transport is not None:
            self._transport.write(data)

    def finished(self) -> None:
        """The pod's response is complete."""
        self._close("proxied")

    def failed(self, reason: str) -> None:
        """The pod's response is missing or not complete. A part of it must not look complete."""
        if self._done:
            return
        if not self._responding:
            self.answer(Answer(502, reason, "bad_gateway"))
            return
        self._end("bad_gateway")
        if self._transport is not None:
            self._transport.abort()

    # The end.

    def close_unused(self) -> None:
        """Close the connection if no byte has come."""
        if self._incoming is None and self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def answer(self, answer: Answer) -> None:
        """Answer the request here."""
        self._respond(answers.render(answer), answer.outcome)

    def _respond(self, response: bytes, outcome: str) -> None:
        if self._done or self._transport is None:
            return
        self._transport.write(response)
        self._close(outcome)

    def _end(self, outcome: str) -> None:
        """The request ends, whether or not there is a response."""
        if self._done:
            return
        self._done = True
        if self._task is not None:
            self._task.cancel()
        if self._upstream is not None:
            self._upstream.close()
        self._body.clear()
        if self.head is not None or outcome != "client_left":
            self._gate.ended(self, self._backend, outcome)

    def _close(self, outcome: str) -> None:
        if self._done or self._transport is None:
            return
        self._end(outcome)
        has_all = self._incoming is not None and self._incoming.ended
        if has_all or self._transport.is_closing():
            self._transport.close()
            return
        self._transport.write_eof()
        self.resume()
        self._set_timer(_LINGER, self._transport.close)
