"""The proxy's listening sockets, synchronized with the Service table."""

import asyncio
import errno
import socket
from collections.abc import Mapping, Sequence

from aiapi_sandbox.proxy.connections import Address, ClientConnection

UNPRIVILEGED_OFFSET = 10_000
BACKLOG = 2048
_PRIVILEGED_BELOW = 1024
_PERMISSION_ERRORS = (errno.EACCES, errno.EPERM)


def expected_address(address: Address) -> Address:
    """The address that the proxy will bind for a Service address, given this user's privileges."""
    host, port = address
    if port >= _PRIVILEGED_BELOW:
        return address
    with socket.socket() as probe:
        # It does not listen, so it does not block the proxy from binding the address.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            return (
                (host, port + UNPRIVILEGED_OFFSET) if error.errno in _PERMISSION_ERRORS else address
            )
    return address


class Listener:
    """One Service port. Without backends it does not listen, so connections are refused."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.backends: tuple[Address, ...] = ()
        self.bound: Address | None = None
        self.failure = ""
        self._server: asyncio.Server | None = None

    async def set_backends(self, backends: Sequence[Address]) -> None:
        """Set the backends for new connections. Existing connections are not changed."""
        self.backends = tuple(backends)
        if self.backends and self._server is None:
            await self._listen()
        elif not self.backends:
            self.close()

    async def _listen(self) -> None:
        host, port = self.address
        try:
            self._server, self.bound = await self._bind(host, port), self.address
        except OSError as error:
            if error.errno not in _PERMISSION_ERRORS:
                self.failure = f"cannot listen on {host}:{port}: {error.strerror or error}"
                return
            await self._listen_unprivileged(host, port + UNPRIVILEGED_OFFSET)

    async def _listen_unprivileged(self, host: str, port: int) -> None:
        """Ports below 1024 may require root; if so, serve the Service 10000 ports higher."""
        try:
            self._server, self.bound = await self._bind(host, port), (host, port)
        except OSError as error:
            self.failure = f"cannot listen on {host}:{port}: {error.strerror or error}"

    async def _bind(self, host: str, port: int) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: ClientConnection(lambda: self.backends),
            host,
            port,
            reuse_address=True,
            backlog=BACKLOG,
        )
        self.failure = ""
        return server

    def close(self) -> None:
        """Stop listening. Existing connections stay open."""
        if self._server is not None:
            self._server.close()
        self._server, self.bound, self.failure = None, None, ""


class ListenerTable:
    """All listeners."""

    def __init__(self) -> None:
        self._listeners: dict[Address, Listener] = {}

    async def apply(self, wanted: Mapping[Address, Sequence[Address]]) -> None:
        """Open and close listeners to match `wanted`: Service address -> backends."""
        for address in self._listeners.keys() - wanted.keys():
            self._listeners.pop(address).close()
        for address, backends in wanted.items():
            listener = self._listeners.setdefault(address, Listener(address))
            await listener.set_backends(backends)

    def bound(self) -> list[tuple[Address, Address]]:
        """The actual address of each Service address."""
        return [(a, item.bound) for a, item in self._listeners.items() if item.bound is not None]

    def failures(self) -> list[str]:
        """The errors of Service addresses that cannot be served."""
        return [item.failure for item in self._listeners.values() if item.failure]
