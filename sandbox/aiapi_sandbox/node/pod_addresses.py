"""Pod IPs: allocates an address from 127.64.0.0/16 on which the pod's ports are free.

Allocation starts at a random address, so that sandboxes on one machine rarely collide, and skips
addresses on which a declared port is in use.
"""

import random
import socket
from collections.abc import Iterable

PREFIX = "127.64"
ATTEMPTS = 4096
"""Addresses that are tried: more than there are pods, and few enough to answer at once."""


class AddressPool:
    """Allocates and releases addresses."""

    def __init__(self, *, start: int | None = None) -> None:
        self._next = start or 0
        if start is None:
            self._next = random.randrange(256) * 256  # noqa: S311 - not a secret
        self._used: set[str] = set()

    def allocate(self, ports: Iterable[int] = ()) -> str:
        """Return an unused address on which the ports are free."""
        wanted = tuple(ports)
        for _ in range(ATTEMPTS):
            address = self._next_candidate()
            if address not in self._used and can_bind(address, wanted):
                self._used.add(address)
                return address
        ports_text = ", ".join(map(str, wanted)) or "none"
        raise OSError(
            f"no pod IP is available; a process that listens on all addresses blocks its port "
            f"for pods (ports: {ports_text})"
        )

    def release(self, address: str) -> None:
        """Return an address to the pool."""
        self._used.discard(address)

    def _next_candidate(self) -> str:
        while True:
            number = self._next
            self._next = (self._next + 1) % 65_536
            if 0 < number % 256 < 255:
                return f"{PREFIX}.{number // 256}.{number % 256}"


def can_bind(address: str, ports: Iterable[int]) -> bool:
    """Whether all ports are free on the address. Privileged ports count as free."""
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
