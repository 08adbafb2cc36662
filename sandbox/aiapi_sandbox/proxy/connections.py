"""Proxied connections: forward bytes, half-closes and resets, with bounded memory."""

import asyncio
import random
import socket
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import cast

Address = tuple[str, int]
CONNECT_TIMEOUT = 3.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class ProxiedConnection(asyncio.Protocol):
    """One side of a proxied connection. Data read here is written to its peer."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.peer: ProxiedConnection | None = None
        self.eof_seen = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.write(data)

    def eof_received(self) -> bool:
        self.eof_seen = True
        peer = self.peer
        if peer is None or peer.transport is None or peer.eof_seen:
            return False
        with suppress(OSError, RuntimeError):
            peer.transport.write_eof()
        return True

    def pause_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        peer, self.peer, self.transport = self.peer, None, None
        if peer is not None and peer.transport is not None:
            if exc is None:
                peer.transport.close()
            else:
                reset(peer.transport)


def reset(transport: asyncio.Transport) -> None:
    """Close with a reset, as the client would see it without a proxy."""
    sock = transport.get_extra_info("socket")
    if sock is not None:
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()


async def dial(address: Address) -> ProxiedConnection | None:
    """Connect to a backend; None when it refuses or times out."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            _, upstream = await loop.create_connection(ProxiedConnection, *address)
    except (OSError, TimeoutError):
        return None
    return upstream


class ClientConnection(ProxiedConnection):
    """A client's connection: connects to a backend, and buffers data until it is connected.

    It pauses reading on the first data, because uvloop does not resume a transport that was paused
    in `connection_made`.
    """

    def __init__(self, backends: Callable[[], Sequence[Address]]) -> None:
        super().__init__()
        self._backends = backends
        self._connecting: asyncio.Task[None] | None = None
        self._buffered = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._connecting = asyncio.get_running_loop().create_task(self._connect())

    def data_received(self, data: bytes) -> None:
        if self.peer is not None:
            super().data_received(data)
            return
        self._buffered += data
        if self.transport is not None:
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        if self.peer is not None:
            return super().eof_received()
        self.eof_seen = True
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
        super().connection_lost(exc)

    async def _connect(self) -> None:
        """Try the backends in random order until one accepts."""
        addresses = list(self._backends())
        random.shuffle(addresses)
        for address in addresses:
            upstream = await dial(address)
            if upstream is not None:
                self._join(upstream)
                return
        if self.transport is not None:
            reset(self.transport)

    def _join(self, upstream: ProxiedConnection) -> None:
        self._connecting = None
        if self.transport is None:
            if upstream.transport is not None:
                upstream.transport.close()
            return
        self.peer, upstream.peer = upstream, self
        if self._buffered:
            super().data_received(self._buffered)
            self._buffered = b""
            self.transport.resume_reading()
        if self.eof_seen:
            super().eof_received()
