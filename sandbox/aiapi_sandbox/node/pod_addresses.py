"""Pod addresses: one of 127.64.0.0/16 for each pod, that the pod's ports can be bound on.

The start is random, so that two sandboxes on one machine seldom meet, and an address on which a
declared port is taken is passed over.
"""

import random
import socket
from collections.abc import Iterable

PREFIX = "127.64"


class AddressPool:
    """Hands out addresses in turn and takes them back."""

    def __init__(self, *, start: int | None = None) -> None:
        self._next = start or 0
        if start is None:
            self._next = random.randrange(256) * 256  # noqa: S311 - not a secret
        self._used: set[str] = set()

    def take(self, ports: Iterable[int] = ()) -> str:
        """Return an address that no pod has and on which the ports are free."""
        wanted = tuple(ports)
        for _ in range(65_536):
            address = self._address()
            if address not in self._used and can_bind(address, wanted):
                self._used.add(address)
                return address
        raise OSError("no pod address is left")

    def release(self, address: str) -> None:
        """Take an address back."""
        self._used.discard(address)

    def _address(self) -> str:
        while True:
            number = self._next
            self._next = (self._next + 1) % 65_536
            if 0 < number % 256 < 255:
                return f"{PREFIX}.{number // 256}.{number % 256}"


def can_bind(address: str, ports: Iterable[int]) -> bool:
    """Whether all ports are free on the address; ports that need root count as free."""
    for port in ports:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except PermissionError:
                continue
            except OSError:
                return False
    return True
