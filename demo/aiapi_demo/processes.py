"""Child processes that never outlive the demo: Ctrl-C, a crash and kill -9 included."""

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
    """A process ended that should have gone on, or did not do what it was started for."""


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
    """Start a process in a session of its own, so that a terminal's Ctrl-C is ours to handle."""
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
    """End a process: SIGTERM, and SIGKILL for it and its group when the grace is over."""
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        # Not process.terminate(): it reaps a process that has just ended, and asyncio, which
        # waits for the same one, then finds nobody and makes up a return code.
        os.kill(process.pid, signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), grace)
    except TimeoutError:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


class ChildProcess:
    """A long-running process with a log file of its own."""

    def __init__(self, name: str, command: Sequence[str], *, log: Path, grace: float = 10) -> None:
        self.name = name
        self.log = log
        self._command = command
        self._grace = grace
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, env: Mapping[str, str] | None = None) -> None:
        """Start it; its output is appended to the log."""
        with self.log.open("ab") as log:
            self._process = await spawn(
                self._command, env=env, stdout=log.fileno(), stderr=log.fileno()
            )

    def check(self) -> None:
        """Raise when it has ended, with the end of its log."""
        if self._process is not None and self._process.returncode is not None:
            raise ProcessFailedError(
                f"{self.name} ended with {self._process.returncode}; the end of {self.log}:\n"
                + self.tail()
            )

    def tail(self, lines: int = 15) -> str:
        """The last lines of its log."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    async def kill(self) -> None:
        """Kill it as ``kill -9`` does."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)
            await self._process.wait()

    async def stop(self) -> None:
        """End it, and wait until it is gone."""
        if self._process is not None and self._process.returncode is None:
            await stop(self._process, grace=self._grace)
