"""Ends accepting without losing a connection that was accepted.

asyncio accepts a connection in one round of its loop and makes the transport in the next. Where the
server was closed in between, it drops the connection and logs nothing.
"""

import asyncio
from collections.abc import Iterable
from typing import Any


def stop_reading(listeners: Iterable[Any]) -> None:
    """asyncio accepts no more. On uvloop, which makes the transport at once, this does nothing."""
    loop = asyncio.get_running_loop()
    for listener in listeners:
        loop.remove_reader(listener.fileno())


def stop(servers: Iterable[asyncio.Server]) -> None:
    """Close this process's listeners once all that they have accepted have their transports."""
    loop = asyncio.get_running_loop()
    for server in servers:
        stop_reading(server.sockets)
        loop.call_soon(server.close)
