"""Moves idle connections between the workers of a pod, as open files; clients notice nothing."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Any

from aiapi_runtime.runtime.channel import FILES_PER_MESSAGE, Channel


class ConnectionHandover:
    """A worker's side: the supervisor decides which worker gets a connection."""

    def __init__(
        self,
        channel: Channel,
        make_protocol: Callable[[], Any],
    ) -> None:
        self._channel = channel
        self._make_protocol = make_protocol
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def pending(self) -> bool:
        """Whether a connection that was handed to this worker is not set up yet."""
        return bool(self._tasks)

    def give(self, idle: Sequence[Any]) -> None:
        """Send idle connections to the supervisor, which finds another worker for them."""
        for start in range(0, len(idle), FILES_PER_MESSAGE):
            batch = idle[start : start + FILES_PER_MESSAGE]
            files = [one.transport.get_extra_info("socket").fileno() for one in batch]
            if not self._channel.send({"event": "idle"}, files):
                return
            for one in batch:
                one.transport.close()

    def adopt(self, files: Sequence[int]) -> None:
        """Continue connections that other workers have accepted."""
        for file in files:
            self.run(self._adopt(file))

    def run(self, work: Any) -> None:
        """Run a coroutine that the drain waits for."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _adopt(self, file: int) -> None:
        loop = asyncio.get_running_loop()
        sock = socket.socket(fileno=file)
        sock.setblocking(False)
        try:
            await loop.connect_accepted_socket(self._make_protocol, sock)
        except OSError:
            sock.close()
