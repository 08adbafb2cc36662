"""Child processes that never outlive the demo, even if it is killed with SIGKILL."""

import asyncio
import ctypes
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class ProcessFailedError(Exception):
    """A process exited unexpectedly, or did not do what it was started for."""


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


async def spawn(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stdin: int = asyncio.subprocess.DEVNULL,
    stdout: int | None = None,
    stderr: int | None = None,
) -> asyncio.subprocess.Process:
    """Start a process in a new session, so that Ctrl-C in the terminal does not reach it."""
    return await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, **(env or {})},
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
        preexec_fn=_die_with_parent,
    )


async def stop(process: asyncio.subprocess.Process, *, grace: float) -> None:
    """Send SIGTERM, and after the grace period SIGKILL to the process and its group."""
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        # Not process.terminate(): it reaps a process that has just exited, and asyncio, which
        # waits for the same process, then reports a made-up return code.
        os.kill(process.pid, signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), grace)
    except TimeoutError:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


class ChildProcess:
    """A long-running process with its own log file."""

    def __init__(self, name: str, command: Sequence[str], *, log: Path, grace: float = 10) -> None:
        self.name = name
        self.log = log
        self._command = command
        self._grace = grace
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, env: Mapping[str, str] | None = None) -> None:
        """Start the process. Its output is appended to the log."""
        with self.log.open("ab") as log:
            self._process = await spawn(
                self._command, env=env, stdout=log.fileno(), stderr=log.fileno()
            )

    def check(self) -> None:
        """Raise ``ProcessFailedError`` with the end of the log if the process has exited."""
        if self._process is not None and self._process.returncode is not None:
            raise ProcessFailedError(
                f"{self.name} exited with code {self._process.returncode}."
                f" Last lines of {self.log}:\n{self.tail()}"
            )

    def tail(self, lines: int = 15) -> str:
        """The last lines of the log."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    async def kill(self) -> None:
        """Send SIGKILL."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)
            await self._process.wait()

    async def stop(self) -> None:
        """Stop the process, and wait until it has exited."""
        if self._process is not None and self._process.returncode is None:
            await stop(self._process, grace=self._grace)
