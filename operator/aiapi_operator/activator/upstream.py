"""The connection to a pod, for one request: relays the response as it comes.

No connection is used again, so that no request meets one that the pod is closing.
"""

import asyncio
import socket
from typing import Protocol, cast

from aiapi_operator.activator.fleet import Pod
from aiapi_operator.activator.head import LAST_CHUNK, RequestHead, chunk, render_response
from aiapi_operator.activator.response_reader import BadResponse, ResponseReader

_KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)
"""A response may take long. A node that is gone is noticed within half a minute."""


_CONNECT_TIMEOUT = 2.0


class Client(Protocol):
    """The side of the client."""

    def attach(self, upstream: "Upstream") -> bool:
        """The pod accepted the connection. False if the client has left."""

    def write(self, data: bytes) -> None:
        """Bytes of the response."""

    def pause(self) -> None:
        """The pod reads more slowly than the client writes."""

    def resume(self) -> None:
        """The pod reads on."""

    def finished(self) -> None:
        """The response is complete."""

    def failed(self, reason: str) -> None:
        """There is no response, or no more of it."""


class Upstream(asyncio.Protocol):
    """One request at one pod."""

    __slots__ = ("_chunked", "_client", "_head", "_head_sent", "_reader", "_transport", "tunnel")

    def __init__(self, client: Client, head: RequestHead) -> None:
        self._client = client
        self._head = head
        self._reader = ResponseReader(head.method)
        self._transport: asyncio.Transport | None = None
        self._head_sent = False
        self._chunked = False
        self.tunnel = False
        """The pod switched to the protocol of the handshake."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The pod accepted."""
        self._transport = cast("asyncio.Transport", transport)
        for option in _KEEPALIVE:
            transport.get_extra_info("socket").setsockopt(*option)
        if not self._client.attach(self):
            self._transport.abort()

    def write(self, data: bytes) -> None:
        """Bytes for the pod."""
        if self._transport is not None:
            self._transport.write(data)

    def pause_reading(self) -> None:
        """The client reads more slowly than the pod writes."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """The client reads on."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self) -> None:
        """The client has left or has all it needs. Bytes in a tunnel are still delivered."""
        if self._transport is not None:
            if self.tunnel:
                self._transport.close()
            else:
                self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Bytes of the response."""
        if self.tunnel:
            self._client.write(data)
            return
        try:
            self._reader.feed(data)
            self._relay()
        except BadResponse as error:
            self._client.failed(f"The pod's response is not valid HTTP/1.1: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        """The pod closed the connection."""
        self._transport = None
        if self.tunnel or (exc is None and self._reader.eof()):
            self._client.finished()
        else:
            self._client.failed("The pod closed the connection before its response was complete")

    def pause_writing(self) -> None:
        """The pod reads slowly."""
        self._client.pause()

    def resume_writing(self) -> None:
        """The pod reads on."""
        self._client.resume()

    def _relay(self) -> None:
        reader, out = self._reader, []
        if reader.informational and self._head.version == b"1.1":
            out += [render_response(each, chunked=False) for each in reader.informational]
        reader.informational.clear()
        if reader.head is not None and not self._head_sent:
            out.append(self._start())
        pieces = reader.take()
        out += [chunk(piece) for piece in pieces] if self._chunked else pieces
        if reader.ended and self._chunked:
            out.append(LAST_CHUNK)
        if out:
            self._client.write(b"".join(out))
        if reader.ended:
            self._client.finished()

    def _start(self) -> bytes:
        """The head, and for a tunnel its first bytes."""
        reader, head = self._reader, self._reader.head
        assert head is not None  # noqa: S101 - the caller looked
        self._head_sent = True
        self._chunked = (
            head.chunked and self._head.version == b"1.1" and head.has_body(self._head.method)
        )
        if head.status != 101:
            return render_response(head, chunked=self._chunked)
        if reader.tunnel is None or not self._head.upgrades:
            raise BadResponse("it switches to a protocol that was not requested")
        self.tunnel = True
        return render_response(head, chunked=False) + reader.tunnel


async def connect(client: Client, head: RequestHead, pod: Pod) -> bool:
    """Connect to a pod for one request. False if it did not accept: no byte was sent."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_CONNECT_TIMEOUT):
            await loop.create_connection(lambda: Upstream(client, head), pod.address, pod.port)
    except OSError:
        return False
    return True
