"""One supervised local process: a container's main process, or a command run for a probe or hook.

The process runs below a shim (see `shim.py`), which ends it and all it started when the sandbox
goes. Nothing here waits in a thread: the shim reports on a pipe that the event loop reads.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SHIM = Path(__file__).with_name("shim.py")
START_TIMEOUT = 15.0


class StartError(Exception):
    """The command could not be executed."""


@dataclass(frozen=True, kw_only=True)
class ProcessSpec:
    """What to execute, where, and with which environment (nothing is inherited)."""

    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str]


class _StatusProtocol(asyncio.Protocol):
    """Read the shim's lines; `closed` is set when it has gone."""

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
            self.started.set_exception(StartError("the process's supervisor ended at once"))
        self.closed.set()


class SupervisedProcess:
    """A running command; use `start`, then `wait`, `signal` and `kill`."""

    def __init__(self, shim: "subprocess.Popen[bytes]", status: _StatusProtocol, pid: int) -> None:
        self._shim = shim
        self._status = status
        self.pid = pid

    @classmethod
    async def start(cls, command: ProcessSpec, *, output: int) -> "SupervisedProcess":
        """Start `command` with its output on the file descriptor `output`.

        Raises StartError when it cannot be executed.
        """
        reader, writer = os.pipe()
        try:
            shim = subprocess.Popen(  # noqa: ASYNC220, S603 - only forks, and the caller chose the command
                [sys.executable, "-I", "-S", SHIM, str(writer), command.cwd, *command.argv],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=dict(command.env),
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
        _, status = await loop.connect_read_pipe(_StatusProtocol, os.fdopen(reader, "rb", 0))
        process = cls(shim, status, 0)
        try:
            async with asyncio.timeout(START_TIMEOUT):
                process.pid = await asyncio.shield(status.started)
        except TimeoutError:
            await process.kill()
            raise StartError("the process did not start in time") from None
        except StartError:
            await process.wait()
            raise
        except asyncio.CancelledError:
            await process.kill()
            raise
        return process

    async def wait(self) -> int:
        """Return the exit code as a container runtime tells it: 128 + n for signal n."""
        await self._status.closed.wait()
        while self._shim.poll() is None:  # noqa: ASYNC110 - a dying process sets no event
            await asyncio.sleep(0.002)
        self._close_control()
        return 137 if self._status.exit_code is None else self._status.exit_code

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the main process alone, as a container runtime does."""
        self._command(f"signal {int(number)}")

    async def kill(self) -> int:
        """End the process and everything it started, at once."""
        self._command("kill")
        return await self.wait()

    def _command(self, line: str) -> None:
        if self._shim.stdin is not None and not self._shim.stdin.closed:
            with suppress(BrokenPipeError):
                self._shim.stdin.write(f"{line}\n".encode())

    def _close_control(self) -> None:
        if self._shim.stdin is not None:
            self._shim.stdin.close()


async def run_command(command: ProcessSpec, *, timeout_seconds: float) -> tuple[int, str]:
    """Run a short command to its end; return its exit code and (bounded) output.

    Raises TimeoutError, after the command was killed, and StartError.
    """
    reader, writer = os.pipe()
    collector = _OutputProtocol()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: collector, os.fdopen(reader, "rb", 0))
    process = None
    try:
        async with asyncio.timeout(timeout_seconds):
            process = await SupervisedProcess.start(command, output=writer)
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
    """Keep the first 10 KiB of a command's output."""

    LIMIT = 10_240

    def __init__(self) -> None:
        self.data = b""
        self.closed = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.data = (self.data + data)[: self.LIMIT]

    def connection_lost(self, _exc: Exception | None) -> None:
        self.closed.set()
