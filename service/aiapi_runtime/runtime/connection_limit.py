"""A worker's connections, and when it has no room for more.

A connection is an open file. A worker out of files has libuv accept what comes and close it at
once, while another worker of the pod has room: so it stops accepting a little earlier.
"""

import resource
from collections.abc import Callable
from typing import Any

# For the app's own files and calls, and for what is accepted before anybody can say stop.
_RESERVE = 512
_AGAIN_SHARE = 0.98


class Connections(set[Any]):
    """Uvicorn's set of connections, with a word when it is full and when it is not any more."""

    def __init__(self, most: int, full: Callable[[], None], room: Callable[[], None]) -> None:
        super().__init__()
        self._most, self._again = most, int(most * _AGAIN_SHARE)
        self._tell_full, self._tell_room = full, room
        self.full = False

    def add(self, connection: Any) -> None:
        super().add(connection)
        if not self.full and len(self) >= self._most:
            self.full = True
            self._tell_full()

    def discard(self, connection: Any) -> None:
        super().discard(connection)
        if self.full and len(self) <= self._again:
            self.full = False
            self._tell_room()


def connection_limit() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return 2**31
    return max(soft // 2, soft - _RESERVE)
