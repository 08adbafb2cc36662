"""The proxy's listening sockets, kept equal to the table that the sandbox sends."""

import asyncio
import errno
import socket
from collections.abc import Mapping, Sequence

from aiapi_sandbox.proxy.connections import Address, ClientConnection

UNPRIVILEGED_OFFSET = 10_000
BACKLOG = 2048
_PRIVILEGED_BELOW = 1024
_REFUSED = (errno.EACCES, errno.EPERM)


def expected_address(address: Address) -> Address:
    """Where an address will be listened on, as far as this user's rights decide it."""
    host, port = address
    if port >= _PRIVILEGED_BELOW:
        return address
    with socket.socket() as probe:
        # It never listens, and so it is not in the way of who binds the same address for good.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            return (host, port + UNPRIVILEGED_OFFSET) if error.errno in _REFUSED else address
    return address


class Listener:
    """One Service port. It listens only while there is a backend, so that clients are refused."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.backends: tuple[Address, ...] = ()
        self.bound: Address | None = None
        self.failure = ""
        self._server: asyncio.Server | None = None

    async def set_backends(self, backends: Sequence[Address]) -> None:
        """New connections go to these from now on; those that exist are left alone."""
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
            if error.errno not in _REFUSED:
                self.failure = f"cannot listen on {host}:{port}: {error.strerror or error}"
                return
            await self._listen_unprivileged(host, port + UNPRIVILEGED_OFFSET)

    async def _listen_unprivileged(self, host: str, port: int) -> None:
        """Ports below 1024 may need root; then the Service is served 10000 ports higher."""
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
        """Stop listening; joined connections live on."""
        if self._server is not None:
            self._server.close()
        self._server, self.bound, self.failure = None, None, ""


class ListenerTable:
    """All listeners."""

    def __init__(self) -> None:
        self._listeners: dict[Address, Listener] = {}

    async def apply(self, wanted: Mapping[Address, Sequence[Address]]) -> None:
        """Make the listeners those of `wanted`: Service address to its backends."""
        for address in self._listeners.keys() - wanted.keys():
            self._listeners.pop(address).close()
        for address, backends in wanted.items():
            listener = self._listeners.setdefault(address, Listener(address))
            await listener.set_backends(backends)

    def bound(self) -> list[tuple[Address, Address]]:
        """Where each Service address is really listened on."""
        return [(a, item.bound) for a, item in self._listeners.items() if item.bound is not None]

    def failures(self) -> list[str]:
        """Why Service addresses are not served."""
        return [item.failure for item in self._listeners.values() if item.failure]
