"""A worker's connections where no httptools fits the Python: Uvicorn's on h11, in pure Python."""

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from aiapi_runtime.limits.plain_address import plain_address


class H11Connection(H11Protocol):
    """Shows what `connection_close` has to know about a connection, under httptools' names."""

    @property
    def pipeline(self) -> bytes:
        """What has arrived of a next request."""
        unread, _ = self.conn.trailing_data
        return unread

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in Uvicorn
        super().connection_made(transport)
        self.client = plain_address(self.client)
        if self.server is not None and self.server[1] is not None:
            self.server = plain_address((self.server[0], self.server[1]))

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # Uvicorn reads the rest of a body after the response, but does not say when it has ended.
        if self.cycle is not None and self.conn.their_state is h11.IDLE:
            self.cycle.more_body = False
