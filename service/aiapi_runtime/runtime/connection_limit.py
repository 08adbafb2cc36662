"""Bounds a worker's connections below its limit of open files.

A connection is an open file. In a worker without files left, libuv accepts new connections and
closes them at once, while another worker of the pod could take them. So a worker stops accepting a
little earlier.
"""

import resource
from collections.abc import Callable
from typing import Any

# For the app's own files and calls, and for what is accepted before the worker stops accepting.
_RESERVE = 512
_RESUME_SHARE = 0.98


class LimitedConnections(set[Any]):
    """Uvicorn's set of connections, with callbacks when it becomes full and when it has space."""

    def __init__(
        self, limit: int, on_full: Callable[[], None], on_space: Callable[[], None]
    ) -> None:
        super().__init__()
        self._limit, self._resume = limit, int(limit * _RESUME_SHARE)
        self._on_full, self._on_space = on_full, on_space
        self.full = False

    def add(self, connection: Any) -> None:
        super().add(connection)
        if not self.full and len(self) >= self._limit:
            self.full = True
            self._on_full()

    def discard(self, connection: Any) -> None:
        super().discard(connection)
        if self.full and len(self) <= self._resume:
            self.full = False
            self._on_space()


def connection_limit() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return 2**31
    return max(soft // 2, soft - _RESERVE)
