"""Looks hosts up once for all who want to connect, and remembers the answer for a short while."""

import asyncio
import socket
from typing import Any

_SECONDS = 10.0

Found = list[tuple[Any, ...]]


class Addresses:
    """Who stops waiting does not end a look-up that others wait for."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], tuple[float, asyncio.Task[Found]]] = {}

    async def of(self, host: str, port: int) -> Found:
        """Addresses as `getaddrinfo` has them; raises OSError."""
        loop = asyncio.get_running_loop()
        until, looking = self._known.get((host, port), (0.0, None))
        if looking is None or loop.time() >= until or _failed(looking):
            looking = loop.create_task(_look_up(host, port))
            looking.add_done_callback(_failed)
            self._known[host, port] = loop.time() + _SECONDS, looking
        return await asyncio.shield(looking)

    def close(self) -> None:
        for _, looking in self._known.values():
            looking.cancel()
        self._known.clear()


def _failed(looking: "asyncio.Task[Found]") -> bool:
    return looking.done() and (looking.cancelled() or looking.exception() is not None)


async def _look_up(host: str, port: int) -> Found:
    loop = asyncio.get_running_loop()
    return list(
        await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    )
