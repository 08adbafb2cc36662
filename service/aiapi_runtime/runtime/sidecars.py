"""Programs that run once per pod, beside its workers: a model server, a database.

The supervisor starts them before the first worker, restarts them when they end, and ends them after
the last worker. They are separate programs: the supervisor runs none of their code. A sidecar calls
`process_attributes.die_with_parent`, so that nothing is left behind when the supervisor is killed.
The supervisor logs their standard output and error line by line.
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

_MIN_BACKOFF_SECONDS = 0.5
_MAX_BACKOFF_SECONDS = 30.0
# After this time without a restart the back-off starts over.
_STABLE_SECONDS = 60.0


@dataclass(frozen=True)
class Sidecar:
    """A program; its environment is the supervisor's, with additions."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    logger: str = "aiapi.sidecar"
    """The logger of its output."""


class _Process:
    """One sidecar, over all of its restarts."""

    def __init__(self, sidecar: Sidecar) -> None:
        self.sidecar = sidecar
        self.pid = 0
        self.started_at = 0.0
        self.backoff = _MIN_BACKOFF_SECONDS
        self.start_at = 0.0
        self.output: LogPipe | None = None

    def start(self, now: float) -> None:
        sidecar = self.sidecar
        self.start_at = float("inf")
        self.started_at = now
        ours, theirs = os.pipe()
        self.output = LogPipe(ours, sidecar.logger)
        try:
            # In its own process group: a terminal's Ctrl-C reaches the supervisor only, which ends
            # everything in order.
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
        self.read_output()
        if now - self.started_at > _STABLE_SECONDS:
            self.backoff = _MIN_BACKOFF_SECONDS
        self.start_at = now + self.backoff
        logger.warning("%s %s, restarting in %g s", self.sidecar.name, text, self.backoff)
        self.backoff = min(2 * self.backoff, _MAX_BACKOFF_SECONDS)

    def read_output(self) -> None:
        """Its last lines explain its end, so they are logged before it."""
        if self.output is not None:
            self.output.read()


class SidecarGroup:
    """All sidecars of a pod. The supervisor reaps processes and calls `ended`."""

    def __init__(self, sidecars: Sequence[Sidecar]) -> None:
        self._processes = [_Process(sidecar) for sidecar in sidecars]
        self._stopping = False
        self.stopped = asyncio.Event()

    def tick(self) -> None:
        """Start what is due."""
        now = monotonic()
        for process in self._processes:
            if not self._stopping and now >= process.start_at:
                process.start(now)

    def ended(self, pid: int, text: str) -> bool:
        """True when the process was a sidecar."""
        for process in self._processes:
            if process.pid == pid:
                if self._stopping:
                    process.pid = 0
                    process.read_output()
                    self._check_stopped()
                else:
                    process.ended(text, monotonic())
                return True
        return False

    def stop(self) -> None:
        """Send SIGTERM. Nothing is restarted after that."""
        self._stopping = True
        self._signal(signal.SIGTERM)
        self._check_stopped()

    def kill(self) -> None:
        self._stopping = True
        self._signal(signal.SIGKILL)

    def _check_stopped(self) -> None:
        if not any(process.pid for process in self._processes):
            self.stopped.set()

    def _signal(self, number: signal.Signals) -> None:
        for process in self._processes:
            if process.pid:
                os.kill(process.pid, number)
