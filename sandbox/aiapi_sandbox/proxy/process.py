"""The sandbox's end of the proxy: starts it, keeps it alive, sends it tables."""

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from aiapi_sandbox.proxy.connections import Address

logger = logging.getLogger(__name__)
APPLY_TIMEOUT = 10.0
RESTART_DELAY = 0.5


class _Answers(asyncio.Protocol):
    """Lines from the proxy; `closed` is set when it has gone."""

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
            answer = json.loads(line)
            self.applied = answer["applied"]
            self.bound = {(a[0], a[1]): (b[0], b[1]) for a, b in answer["bound"]}
            self.failures = tuple(answer["failures"])
        self.changed.set()

    def connection_lost(self, _exc: Exception | None) -> None:
        self.closed.set()
        self.changed.set()


class ProxyProcess:
    """Owns the proxy process; `run` belongs in a task of the sandbox."""

    def __init__(self) -> None:
        self._wanted: Mapping[Address, Sequence[Address]] = {}
        self._number = 0
        self._child: subprocess.Popen[bytes] | None = None
        self._answers: _Answers | None = None
        self._reported_failures: tuple[str, ...] = ()
        self._reported_bound: dict[Address, Address] = {}
        self._listeners: list[Callable[[], None]] = []

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call back when Services are listened on elsewhere than before."""
        self._listeners.append(listener)

    @property
    def pid(self) -> int | None:
        """The running process, for tests and the state file."""
        return self._child.pid if self._child else None

    def address(self, service: Address) -> Address | None:
        """Where a Service address is listened on now, or None."""
        return self._answers.bound.get(service) if self._answers else None

    def set_table(self, wanted: Mapping[Address, Sequence[Address]]) -> None:
        """Send the whole table; the newest one wins."""
        self._wanted = wanted
        self._number += 1
        self._send()

    async def run(self) -> None:
        """Keep the process alive until cancelled; a crash is healed with the last table."""
        try:
            while True:
                answers = await self._start()
                while not answers.closed.is_set():
                    answers.changed.clear()
                    await answers.changed.wait()
                    self._report(answers)
                logger.warning("the Service proxy ended; starting it again")
                await self._stop()
                await asyncio.sleep(RESTART_DELAY)
        finally:
            await self._stop()

    async def _start(self) -> _Answers:
        self._child = child = subprocess.Popen(  # noqa: ASYNC220 - forks only; our own module
            [sys.executable, "-P", "-m", "aiapi_sandbox.proxy"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            bufsize=0,
        )
        loop = asyncio.get_running_loop()
        _, answers = await loop.connect_read_pipe(_Answers, child.stdout)
        self._answers = answers
        self._send()
        return answers

    def _send(self) -> None:
        if self._child is None or self._child.stdin is None or self._child.stdin.closed:
            return
        listeners = [[host, port, list(to)] for (host, port), to in self._wanted.items()]
        line = json.dumps({"number": self._number, "listeners": listeners}) + "\n"
        with suppress(BrokenPipeError):
            self._child.stdin.write(line.encode())

    def _report(self, answers: _Answers) -> None:
        if answers.failures != self._reported_failures:
            self._reported_failures = answers.failures
            for failure in answers.failures:
                logger.warning("Service proxy: %s", failure)
        if answers.bound != self._reported_bound:
            self._reported_bound = answers.bound
            for listener in self._listeners:
                listener()

    async def _stop(self) -> None:
        child, self._child, self._answers = self._child, None, None
        if child is None or child.stdin is None:
            return
        child.stdin.close()
        deadline = asyncio.get_running_loop().time() + 1.0
        while child.poll() is None:
            if asyncio.get_running_loop().time() > deadline:
                child.kill()
            await asyncio.sleep(0.005)
