"""The supervisor's side of the fork server: starts it, requests workers, and reports failures."""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import replace
from time import monotonic
from typing import Protocol

from aiapi_runtime.launcher import environment
from aiapi_runtime.runtime import injection
from aiapi_runtime.runtime.channel import Channel, ClosedError
from aiapi_runtime.runtime.settings import RuntimeSettings

logger = logging.getLogger("aiapi.supervisor")

# Not passed on to the app.
_SECRETS = ("AIAPI_ADMIN_TOKEN",)


class SpawnObserver(Protocol):
    """Receives the results of spawning."""

    def reconcile(self) -> None: ...
    def failed(self, traceback: str, reason: str = "") -> None: ...
    def forked(self, slot: int, pid: int) -> None: ...


class Spawner:
    """Runs at most one fork server at a time."""

    def __init__(
        self,
        settings: RuntimeSettings,
        listener: socket.socket,
        memory_fd: int,
        observer: SpawnObserver,
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._memory_fd = memory_fd
        self._observer = observer
        self._channel: Channel | None = None
        self._end_explained = False
        self._started_at = 0.0
        self.environment: Mapping[str, str] = {}
        """Variables of the app, beside those of the supervisor."""

        self.pid = 0
        self.loaded = False

    @property
    def loading(self) -> bool:
        return self.pid != 0 and not self.loaded

    @property
    def preloads(self) -> bool:
        return self._settings.preload != "off"

    def start(self) -> None:
        ours, theirs = Channel.pair()
        for fd in (theirs.fileno(), self._listener.fileno(), self._memory_fd):
            os.set_inheritable(fd, True)
        fds = (str(theirs.fileno()), str(self._listener.fileno()), str(self._memory_fd))
        variables = {**environment.for_own_process(), **self.environment}
        for name in _SECRETS:
            variables.pop(name, None)
        command = [sys.executable, *injection.fork_server_command(), *fds]
        try:
            self.pid = os.posix_spawn(sys.executable, command, variables)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.sock.setblocking(False)
        ours.send({"settings": self._settings.as_dict(), "supervisor": os.getpid()})
        self._channel = ours
        self._end_explained = False
        self._started_at = monotonic()
        asyncio.get_running_loop().add_reader(ours.fileno(), self.receive)

    def request_worker(self, slot: int, channel: Channel) -> bool:
        """Have a worker forked that uses `channel`."""
        return self._channel is not None and self._channel.send(
            {"command": "fork", "slot": slot}, [channel.fileno()]
        )

    def receive(self) -> None:
        """Handle the messages that have arrived."""
        while self._channel is not None:
            try:
                received = self._channel.receive()
            except ClosedError:
                self._close_channel()
                return
            if received is None:
                return
            message, _ = received
            match message["event"]:
                case "loaded":
                    self.loaded = True
                    self._observer.reconcile()
                case "forked":
                    self._observer.forked(message["slot"], message["pid"])
                case "unforkable":
                    self._leave_import_to_workers(message["why"])
                case "fork_failed":
                    self._observer.failed(f"cannot fork a worker: {message['why']}")
                case "failed":
                    self._end_explained = True
                    self._observer.failed(message["traceback"], message["reason"])

    def _leave_import_to_workers(self, why: str) -> None:
        self._end_explained = True
        self._settings = replace(self._settings, preload="off")
        logger.warning(
            "%s %s on import: each worker imports it again, as with --preload off",
            self._settings.app,
            why,
        )

    def ended(self, status: str) -> None:
        """Its process was reaped."""
        self.receive()
        self._close_channel()
        if not self._end_explained:
            self._observer.failed(f"the process that imports the app {status}")
        self.pid = 0
        self.loaded = False
        self._observer.reconcile()

    def check(self, now: float) -> None:
        """End an import that takes too long."""
        overdue = self.loading and now - self._started_at > self._settings.start_limit
        if overdue and not self._end_explained:
            self._end_explained = True
            self._observer.failed(
                f"the import of {self._settings.app} takes longer than --start-limit"
            )
            os.kill(self.pid, signal.SIGKILL)

    def _close_channel(self) -> None:
        if self._channel is not None:
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            self._channel.close()
            self._channel = None

    def stop(self) -> None:
        """End the fork server, also in the middle of an import."""
        self._close_channel()
        self._end_explained = True
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
