"""Calls over connections of our own: one costs little more than its bytes.

What this does not do is what upstreams do not need: HTTP/2, redirects, cookies, decompression. An
upstream behind a proxy is called by aiohttp instead. Errors are httpx's.
"""

import asyncio
import socket
import ssl
from collections import deque

import aiohappyeyeballs
import httpx

from aiapi_service.gateway.upstreams.addresses import Addresses
from aiapi_service.gateway.upstreams.connection import Connection
from aiapi_service.gateway.upstreams.wire import Endpoint, Reply, Timeouts
from aiapi_service.telemetry.requests import UpstreamCall
from aiapi_service.telemetry.tracing import inject

_IDLE_SECONDS = 15.0
_NEXT_ADDRESS_SECONDS = 0.25

_Place = tuple[str, str, int]


class Http1:
    """One pool for all hosts. At most `limit` calls at once; others wait for their turn."""

    def __init__(self, *, limit: int, tls: ssl.SSLContext) -> None:
        self._limit = limit
        self._tls = tls
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._idle: dict[_Place, list[Connection]] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False
        self._addresses = Addresses()

    async def send(self, to: Endpoint, body: bytes, timeouts: Timeouts) -> Reply:
        """The head of the answer."""
        call = UpstreamCall()
        try:
            connection = await self._asked(to, _written(to, body), timeouts)
        except BaseException:
            call.end()
            raise
        stream = _Body(self, connection, timeouts.read, call)
        return Reply(connection.status, connection.headers, stream)

    async def close(self) -> None:
        """Connections in use are closed when they come back."""
        self._closed = True
        self._addresses.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connections in self._idle.values():
            for connection in connections:
                connection.transport.abort()
        self._idle.clear()

    async def _asked(self, to: Endpoint, wire: bytes, timeouts: Timeouts) -> Connection:
        """A connection on which the head of the answer has come."""
        while True:
            connection = await self._take(to.place, timeouts)
            try:
                await connection.ask(wire, timeouts.read)
            except BaseException as error:
                connection.transport.abort()
                self._leave()
                stale = connection.used and not connection.heard
                if to.method == "GET" and stale and isinstance(error, httpx.ReadError):
                    # It was closed while idle; what only reads may be sent once more.
                    continue
                raise
            connection.place = to.place
            return connection

    async def _take(self, place: _Place, timeouts: Timeouts) -> Connection:
        if self._taken < self._limit and (connection := self._kept(place)):
            self._taken += 1
            return connection
        try:
            async with asyncio.timeout(timeouts.pool):
                await self._turn()
                try:
                    return self._kept(place) or await self._connect(place, timeouts.connect)
                except BaseException:
                    self._leave()
                    raise
        except TimeoutError:
            raise httpx.PoolTimeout(f"no connection within {timeouts.pool:g} s") from None

    async def _turn(self) -> None:
        if self._taken < self._limit:
            self._taken += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self._leave()
            raise

    def _leave(self) -> None:
        """The turn of who waits longest, if anybody does."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._taken -= 1

    def _kept(self, place: _Place) -> Connection | None:
        """The one used last: the others may grow old and be closed."""
        connections = self._idle.get(place)
        while connections:
            connection = connections.pop()
            if connection.is_open:
                return connection
        return None

    def give_back(self, connection: Connection) -> None:
        """Done with the answer, whether it is over or not."""
        self._leave()
        if self._closed or not connection.reusable:
            connection.transport.abort()
            return
        connection.rest()
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.setdefault(connection.place, []).append(connection)
        if self._sweeper is None:
            self._sweeper = loop.call_later(_IDLE_SECONDS, self._sweep, loop)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        oldest = loop.time() - _IDLE_SECONDS
        for place, connections in list(self._idle.items()):
            young = [one for one in connections if one.is_open and one.idle_since > oldest]
            for connection in set(connections).difference(young):
                connection.transport.close()
            if young:
                self._idle[place] = young
            else:
                del self._idle[place]
        self._sweeper = (
            loop.call_later(_IDLE_SECONDS / 3, self._sweep, loop) if self._idle else None
        )

    async def _connect(self, place: _Place, seconds: float) -> Connection:
        scheme, host, port = place
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds):
                found = await self._addresses.of(host, port)
                sock = await aiohappyeyeballs.start_connection(
                    found, happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS, interleave=1, loop=loop
                )
                return await self._greeted(loop, sock, host if scheme == "https" else None)
        except TimeoutError:
            raise httpx.ConnectTimeout(f"not connected within {seconds:g} s") from None
        except OSError as error:
            raise httpx.ConnectError(str(error)) from error

    async def _greeted(
        self, loop: asyncio.AbstractEventLoop, sock: socket.socket, secure: str | None
    ) -> Connection:
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _, connection = await loop.create_connection(
                lambda: Connection(loop),
                sock=sock,
                ssl=self._tls if secure else None,
                server_hostname=secure,
            )
        except BaseException:
            sock.close()
            raise
        return connection


class _Body:
    """Reads on as it is iterated; closed, the connection is another call's."""

    def __init__(
        self, owner: Http1, connection: Connection, seconds: float, call: UpstreamCall
    ) -> None:
        self._owner = owner
        self._connection: Connection | None = connection
        self._seconds = seconds
        self._call = call

    def __aiter__(self) -> "_Body":
        return self

    async def __anext__(self) -> bytes:
        if self._connection is None:
            raise StopAsyncIteration
        piece = await self._connection.piece(self._seconds)
        if not piece:
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._call.end()
            self._owner.give_back(connection)


def _written(to: Endpoint, body: bytes) -> bytes:
    traced: dict[str, str] = {}
    inject(traced)
    lines = b"".join(
        b"\r\n%s: %s" % (name.encode(), value.encode("latin-1")) for name, value in traced.items()
    )
    length = b"\r\ncontent-length: %d" % len(body) if body or to.method != "GET" else b""
    return b"%s%s%s\r\n\r\n%s" % (to.head, lines, length, body)
