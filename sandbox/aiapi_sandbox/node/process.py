"""One supervised local process: a container's main process, or an exec for a probe or hook.

The process is a child of a shim (see `shim.py`), which kills it and its descendants when the
sandbox exits. No thread waits for it: the shim reports on a pipe that the event loop reads.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aiapi_sandbox.pipe_end import PipeEnd

SHIM = Path(__file__).with_name("shim.py")
START_TIMEOUT = 15.0


class StartError(Exception):
    """The command could not be executed."""


@dataclass(frozen=True, kw_only=True)
class ProcessSpec:
    """The command, working directory and environment of a process. Nothing is inherited."""

    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str]
    place: Callable[[str], str] = str
    """Where a path that a probe or hook names is on this machine."""


class _StatusProtocol(asyncio.Protocol):
    """Reads the shim's status lines. `closed` is set when the shim exits."""

    def __init__(self) -> None:
        self.started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.closed = asyncio.Event()
        self.exit_code: int | None = None
        self._pending = b""

    def data_received(self, data: bytes) -> None:
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            verb, _, argument = line.decode(errors="replace").partition(" ")
            if verb == "started":
                self.started.set_result(int(argument))
            elif verb == "failed":
                self.started.set_exception(StartError(argument))
            elif verb == "exited":
                self.exit_code = int(argument)

    def connection_lost(self, _exc: Exception | None) -> None:
        if not self.started.done():
            self.started.set_exception(StartError("the shim exited immediately"))
        self.closed.set()


class SupervisedProcess:
    """A running process; use `start`, then `wait`, `signal` and `kill`."""

    def __init__(self, shim: "subprocess.Popen[bytes]", status: _StatusProtocol, pid: int) -> None:
        self._shim = shim
        self._status = status
        self.pid = pid

    @property
    def shim_pid(self) -> int:
        """The shim's PID: all processes of the container are below it."""
        return self._shim.pid

    @classmethod
    async def start(cls, spec: ProcessSpec, *, output: int) -> "SupervisedProcess":
        """Start a process with its output on the file descriptor `output`.

        Raises StartError when it cannot be executed.
        """
        reader, writer = os.pipe()
        try:
            shim = subprocess.Popen(  # noqa: ASYNC220, S603 - does not block, and runs the container's command
                [sys.executable, "-I", "-S", SHIM, str(writer), spec.cwd, *spec.argv],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=dict(spec.env),
                pass_fds=[writer],
                start_new_session=True,
                bufsize=0,
            )
        except (OSError, ValueError) as error:
            os.close(reader)
            raise StartError(str(error)) from error
        finally:
            os.close(writer)
        loop = asyncio.get_running_loop()
        _, status = await loop.connect_read_pipe(_StatusProtocol, PipeEnd(reader))
        process = cls(shim, status, 0)
        try:
            async with asyncio.timeout(START_TIMEOUT):
                process.pid = await asyncio.shield(status.started)
        except TimeoutError:
            await process.kill()
            raise StartError(f"the process did not start within {START_TIMEOUT:g} s") from None
        except StartError:
            await process.wait()
            raise
        except asyncio.CancelledError:
            await process.kill()
            raise
        return process

    async def wait(self) -> int:
        """Return the exit code as a container runtime reports it: 128 + n for signal n."""
        await self._status.closed.wait()
        while self._shim.poll() is None:  # noqa: ASYNC110 - there is no event for the shim's exit
            await asyncio.sleep(0.002)
        self._close_control()
        return 137 if self._status.exit_code is None else self._status.exit_code

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the main process only, as a container runtime does."""
        self._send(f"signal {int(number)}")

    async def kill(self) -> int:
        """Kill the process and all its descendants."""
        self._send("kill")
        return await self.wait()

    def _send(self, line: str) -> None:
        if self._shim.stdin is not None and not self._shim.stdin.closed:
            with suppress(BrokenPipeError):
                self._shim.stdin.write(f"{line}\n".encode())

    def _close_control(self) -> None:
        if self._shim.stdin is not None:
            self._shim.stdin.close()


async def run_to_completion(spec: ProcessSpec, *, timeout_seconds: float) -> tuple[int, str]:
    """Run a process to completion; return its exit code and its truncated output.

    Raises StartError, and TimeoutError after killing the process.
    """
    reader, writer = os.pipe()
    collector = _OutputProtocol()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: collector, PipeEnd(reader))
    process = None
    try:
        async with asyncio.timeout(timeout_seconds):
            process = await SupervisedProcess.start(spec, output=writer)
            code = await process.wait()
    except (TimeoutError, asyncio.CancelledError):
        if process is not None:
            await process.kill()
        raise
    finally:
        os.close(writer)
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await collector.closed.wait()
        transport.close()
    return code, collector.data.decode(errors="replace")


class _OutputProtocol(asyncio.Protocol):
    """Keeps the first 10 KiB of the output."""

    LIMIT = 10_240

    def __init__(self) -> None:
        self.data = b""
        self.closed = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.data = (self.data + data)[: self.LIMIT]

    def connection_lost(self, _exc: Exception | None) -> None:
        self.closed.set()
