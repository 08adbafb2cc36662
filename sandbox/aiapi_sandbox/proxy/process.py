"""The sandbox's side of the proxy: starts and restarts the process, and sends it tables."""

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from aiapi_sandbox.pipe_end import PipeEnd
from aiapi_sandbox.proxy.connections import Address

logger = logging.getLogger(__name__)
APPLY_TIMEOUT = 10.0
RESTART_DELAY = 0.5


class _ProxyMessages(asyncio.Protocol):
    """Reads the proxy's messages. `closed` is set when the proxy exits."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()
        self.changed = asyncio.Event()
        self.applied = 0
        self.bound: dict[Address, Address] = {}
        self.failures: tuple[str, ...] = ()
        self._pending = b""

    def data_received(self, data: bytes) -> None:
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            message = json.loads(line)
            self.applied = message["applied"]
            self.bound = {(a[0], a[1]): (b[0], b[1]) for a, b in message["bound"]}
            self.failures = tuple(message["failures"])
        self.changed.set()

    def connection_lost(self, _exc: Exception | None) -> None:
        self.closed.set()
        self.changed.set()


class ProxyProcess:
    """Owns the proxy process. The sandbox runs `run` in a task."""

    def __init__(self) -> None:
        self._wanted: Mapping[Address, Sequence[Address]] = {}
        self._number = 0
        self._child: subprocess.Popen[bytes] | None = None
        self._messages: _ProxyMessages | None = None
        self._reported_failures: tuple[str, ...] = ()
        self._reported_bound: dict[Address, Address] = {}
        self._listeners: list[Callable[[], None]] = []

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` when the actual addresses of Services change."""
        self._listeners.append(listener)

    @property
    def pid(self) -> int | None:
        """The PID of the running process."""
        return self._child.pid if self._child else None

    def address(self, service: Address) -> Address | None:
        """The actual address of a Service address, or None when it is not served."""
        return self._messages.bound.get(service) if self._messages else None

    def set_table(self, wanted: Mapping[Address, Sequence[Address]]) -> None:
        """Send the complete table."""
        self._wanted = wanted
        self._number += 1
        self._send()

    async def run(self) -> None:
        """Run the process until cancelled. After a crash, restart it with the last table."""
        try:
            while True:
                messages = await self._start()
                while not messages.closed.is_set():
                    messages.changed.clear()
                    await messages.changed.wait()
                    self._report(messages)
                logger.warning("the Service proxy exited; restarting it")
                await self._stop()
                await asyncio.sleep(RESTART_DELAY)
        finally:
            await self._stop()

    async def _start(self) -> _ProxyMessages:
        reader, writer = os.pipe()
        try:
            self._child = subprocess.Popen(  # noqa: ASYNC220 - does not block; runs our own module
                [sys.executable, "-P", "-m", "aiapi_sandbox.proxy"],
                stdin=subprocess.PIPE,
                stdout=writer,
                start_new_session=True,
                bufsize=0,
            )
        finally:
            os.close(writer)
        loop = asyncio.get_running_loop()
        _, messages = await loop.connect_read_pipe(_ProxyMessages, PipeEnd(reader))
        self._messages = messages
        self._send()
        return messages

    def _send(self) -> None:
        if self._child is None or self._child.stdin is None or self._child.stdin.closed:
            return
        listeners = [[host, port, list(to)] for (host, port), to in self._wanted.items()]
        line = json.dumps({"number": self._number, "listeners": listeners}) + "\n"
        with suppress(BrokenPipeError):
            self._child.stdin.write(line.encode())

    def _report(self, messages: _ProxyMessages) -> None:
        if messages.failures != self._reported_failures:
            self._reported_failures = messages.failures
            for failure in messages.failures:
                logger.warning("Service proxy: %s", failure)
        if messages.bound != self._reported_bound:
            self._reported_bound = messages.bound
            for listener in self._listeners:
                listener()

    async def _stop(self) -> None:
        child, self._child, self._messages = self._child, None, None
        if child is None or child.stdin is None:
            return
        child.stdin.close()
        deadline = asyncio.get_running_loop().time() + 1.0
        while child.poll() is None:
            if asyncio.get_running_loop().time() > deadline:
                child.kill()
            await asyncio.sleep(0.005)
