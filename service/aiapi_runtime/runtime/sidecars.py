"""Processes that a pod has once, beside its workers: a model, a database.

The supervisor starts them before the first worker, starts them again when they end, and ends them
after the last worker. They are programs of their own: the supervisor runs none of their code. Such
a program calls `kernel.die_with_parent`, so that nothing is left when the supervisor is killed.
What they write to their standard output and error becomes the supervisor's log, line by line.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic

from aiapi_runtime.runtime.log_pipe import LogPipe

logger = logging.getLogger("aiapi.supervisor")

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
# One that ran for so long has been well: its next start does not wait for the sins of its youth.
_WELL_SECONDS = 60.0


@dataclass(frozen=True)
class Sidecar:
    """A program, and what its environment has beyond the supervisor's."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    logger: str = "aiapi.sidecar"
    """Under this name its lines are logged."""


class _Process:
    """One sidecar over all of its starts."""

    def __init__(self, sidecar: Sidecar) -> None:
        self.sidecar = sidecar
        self.pid = 0
        self.began = 0.0
        self.pause = _FIRST_PAUSE_SECONDS
        self.start_at = 0.0
        self.words: LogPipe | None = None

    def start(self, now: float) -> None:
        sidecar = self.sidecar
        self.start_at = float("inf")
        self.began = now
        ours, theirs = os.pipe()
        self.words = LogPipe(ours, sidecar.logger)
        try:
            # A group of its own: a terminal's Ctrl-C is for the supervisor, which ends it in order.
            self.pid = os.posix_spawn(
                sidecar.argv[0],
                sidecar.argv,
                {**os.environ, **sidecar.environment},
                setpgroup=0,
                file_actions=[(os.POSIX_SPAWN_DUP2, theirs, one) for one in (1, 2)],
            )
        except OSError as error:
            self.ended(f"cannot be started: {error}", now)
        finally:
            os.close(theirs)

    def ended(self, text: str, now: float) -> None:
        self.pid = 0
        self.listen()
        if now - self.began > _WELL_SECONDS:
            self.pause = _FIRST_PAUSE_SECONDS
        self.start_at = now + self.pause
        logger.warning("%s %s, starting it again in %g s", self.sidecar.name, text, self.pause)
        self.pause = min(2 * self.pause, _LONGEST_PAUSE_SECONDS)

    def listen(self) -> None:
        """Its last words, which explain its end, come before it."""
        if self.words is not None:
            self.words.hear()


class SidecarGroup:
    """All of a pod's. The supervisor reaps, and says here what it has reaped."""

    def __init__(self, wanted: Sequence[Sidecar]) -> None:
        self._processes = [_Process(sidecar) for sidecar in wanted]
        self._ending = False
        self.over = asyncio.Event()

    def tick(self) -> None:
        """Start what is due."""
        now = monotonic()
        for process in self._processes:
            if not self._ending and now >= process.start_at:
                process.start(now)

    def ended(self, pid: int, text: str) -> bool:
        """True when the process was one of these."""
        for process in self._processes:
            if process.pid == pid:
                if self._ending:
                    process.pid = 0
                    process.listen()
                    self._note_end()
                else:
                    process.ended(text, monotonic())
                return True
        return False

    def end(self) -> None:
        """Ask them to go. They are not started again."""
        self._ending = True
        self._signal(signal.SIGTERM)
        self._note_end()

    def kill(self) -> None:
        self._ending = True
        self._signal(signal.SIGKILL)

    def _note_end(self) -> None:
        if not any(process.pid for process in self._processes):
            self.over.set()

    def _signal(self, number: signal.Signals) -> None:
        for process in self._processes:
            if process.pid:
                os.kill(process.pid, number)
