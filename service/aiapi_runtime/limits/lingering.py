"""The rest of a connection that serves no further request.

Closing a socket with unread data resets the connection, and a client that was still sending may
lose the response that tells it to stop. So a little more is read and dropped before it is closed.
"""

import asyncio
from typing import Any

LINGER_SECONDS = 2.0
_DROPPED_BYTES = 262144


class Lingering(asyncio.Protocol):
    """Takes a connection's place: drops what arrives, and tells the connection the rest."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._left = _DROPPED_BYTES

    def data_received(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            self._connection.flow.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        self._connection.resume_writing()


def linger(connection: Any) -> None:
    """Read no further requests; responses in progress are still sent."""
    connection.transport.set_protocol(Lingering(connection))


def close(connection: Any) -> None:
    """Close once the client has had time to read what was sent."""
    linger(connection)
    if connection.transport.can_write_eof():
        connection.transport.write_eof()
    asyncio.get_running_loop().call_later(LINGER_SECONDS, connection.transport.close)
