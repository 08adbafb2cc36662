"""The supervisor's side of the zygote: starts it, orders workers from it, hears why it failed."""

import asyncio
import logging
import os
import signal
import socket
import sys
from dataclasses import replace
from time import monotonic
from typing import Protocol

from aiapi_runtime.runtime.channel import Channel, ClosedError
from aiapi_runtime.runtime.settings import Settings

logger = logging.getLogger("aiapi.supervisor")

# The app has no business with it.
_SECRETS = ("AIAPI_ADMIN_TOKEN",)


class Owner(Protocol):
    """Who is told of what happens."""

    def reconcile(self) -> None: ...
    def failed(self, traceback: str) -> None: ...
    def forked(self, slot: int, pid: int) -> None: ...


class Spawner:
    """At most one zygote at a time."""

    def __init__(
        self, settings: Settings, listener: socket.socket, memory_fd: int, owner: Owner
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._memory_fd = memory_fd
        self._owner = owner
        self._channel: Channel | None = None
        self._told = False
        self._began = 0.0
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
        environment = {key: value for key, value in os.environ.items() if key not in _SECRETS}
        # -P: files beside the app must not stand in for Python's own modules.
        command = [sys.executable, "-P", "-m", "aiapi_runtime.runtime.fork_server", *fds]
        try:
            self.pid = os.posix_spawn(sys.executable, command, environment)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.sock.setblocking(False)
        ours.send({"settings": self._settings.as_dict(), "supervisor": os.getpid()})
        self._channel = ours
        self._told = False
        self._began = monotonic()
        asyncio.get_running_loop().add_reader(ours.fileno(), self.listen)

    def order(self, slot: int, channel: Channel) -> bool:
        """Ask for a worker that talks through `channel`."""
        return self._channel is not None and self._channel.send(
            {"do": "fork", "slot": slot}, [channel.fileno()]
        )

    def listen(self) -> None:
        while self._channel is not None:
            try:
                received = self._channel.receive()
            except ClosedError:
                self._hang_up()
                return
            if received is None:
                return
            message, _ = received
            match message["is"]:
                case "loaded":
                    self.loaded = True
                    self._owner.reconcile()
                case "forked":
                    self._owner.forked(message["slot"], message["pid"])
                case "unforkable":
                    self._leave_import_to_workers(message["why"])
                case "full":
                    self._owner.failed(f"cannot fork a worker: {message['why']}")
                case "failed":
                    self._told = True
                    self._owner.failed(message["traceback"])

    def _leave_import_to_workers(self, why: str) -> None:
        self._told = True
        self._settings = replace(self._settings, preload="off")
        logger.warning(
            "%s %s on import: each worker will import it anew, as with --preload off",
            self._settings.app,
            why,
        )

    def died(self, status: str) -> None:
        """Its process was reaped."""
        self.listen()
        self._hang_up()
        if not self._told:
            self._owner.failed(f"the process that imports the app {status}")
        self.pid = 0
        self.loaded = False
        self._owner.reconcile()

    def check(self, now: float) -> None:
        """An import that never ends is a failure like another."""
        if self.loading and now - self._began > self._settings.start_limit and not self._told:
            self._told = True
            self._owner.failed(
                f"the import of {self._settings.app} takes longer than --start-limit"
            )
            os.kill(self.pid, signal.SIGKILL)

    def _hang_up(self) -> None:
        if self._channel is not None:
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            self._channel.close()
            self._channel = None

    def stop(self) -> None:
        """It ends by itself when nobody talks to it any more; a running import is cut short."""
        self._hang_up()
        self._told = True
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
