"""A worker's Uvicorn server, commanded by the supervisor; it drains without losing a request."""

import asyncio
import contextlib
import logging
import os
import random
import signal
import socket
import sys
from collections.abc import Callable, Generator
from functools import cache
from time import monotonic
from typing import Any

import uvicorn
from uvicorn.config import LIFESPAN, WS_PROTOCOLS
from uvicorn.importer import import_from_string

from aiapi_runtime.limits import protocol
from aiapi_runtime.limits.flow import has_unread
from aiapi_runtime.runtime import accepting
from aiapi_runtime.runtime.background_tasks import BackgroundTasks
from aiapi_runtime.runtime.channel import Channel, ClosedError
from aiapi_runtime.runtime.connection_close import ConnectionCloser, is_idle
from aiapi_runtime.runtime.connection_handover import ConnectionHandover
from aiapi_runtime.runtime.connection_limit import LimitedConnections, connection_limit
from aiapi_runtime.runtime.settings import RuntimeSettings
from aiapi_runtime.telemetry.clock import loop_name
from aiapi_runtime.telemetry.heartbeat import Heartbeat

logger = logging.getLogger("aiapi.worker")

# Config.load() imports these by name, which in an app with a Uvicorn of its own is that one.
LIFESPAN.update({name: import_from_string(path) for name, path in LIFESPAN.items()})

START_FAILURE = 3
_LIFESPAN_END_SECONDS = 10.0
_POLL_SECONDS = 0.05


class WorkerServer(uvicorn.Server):
    """Uvicorn's server with the supervisor's commands in place of signals."""

    def __init__(
        self,
        config: uvicorn.Config,
        settings: RuntimeSettings,
        channel: Channel,
        closer: ConnectionCloser,
        heartbeat: Heartbeat,
    ) -> None:
        super().__init__(config)
        self._heartbeat = heartbeat
        heartbeat.connections = lambda: len(self.server_state.connections)
        self._channel = channel
        self._settings = settings
        self._closer = closer
        self._handover = ConnectionHandover(channel, self._make_protocol)
        self._background = BackgroundTasks()
        self._drain_requested = asyncio.Event()
        self._leave_after = leaving_count(settings.limit_max_requests)
        self._pod_ends = False
        self._deadline = 0.0
        self._starting: asyncio.Task[None] | None = None
        self.server_state.connections = LimitedConnections(
            connection_limit(), self._pause_accepting, self._resume_accepting
        )
        self._paused: list[socket.socket] = []

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """A SIGTERM to a single worker is passed to the supervisor, which replaces it first."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._channel.send, {"event": "exit_requested"})
        loop.add_reader(self._channel.fileno(), self._receive)
        yield
        loop.remove_reader(self._channel.fileno())
        loop.remove_signal_handler(signal.SIGTERM)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._starting = asyncio.current_task()
        try:
            await super().startup(sockets)
        except asyncio.CancelledError:
            if not self._drain_requested.is_set():
                raise
            # Drained before it served a request: there is nothing to finish.
            accepting.stop_reading(sockets or ())
            self.should_exit = True
            return
        finally:
            self._starting = None
        if self.lifespan.should_exit:
            # Recent versions of Uvicorn exit by themselves, older ones return.
            sys.exit(START_FAILURE)
        self._background.startup_is_complete()
        self._heartbeat.begin_serving()
        self._channel.send(
            {
                "event": "ready",
                "pid": os.getpid(),
                "limit": connection_limit(),
                "loop": loop_name(asyncio.get_running_loop()),
                "http": protocol.NAME,
            }
        )

    async def main_loop(self) -> None:
        """Keeps the date header fresh, and leaves after enough requests, until a drain begins."""
        while not self._drain_requested.is_set():
            await self.on_tick(0)
            self._leave_after_enough_requests()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._drain_requested.wait(), 1.0)

    def _leave_after_enough_requests(self) -> None:
        served = self.server_state.total_requests
        if 0 < self._leave_after <= served:
            self._leave_after = 0
            logger.info("served %d requests: it is replaced", served)
            self._channel.send({"event": "exit_requested"})

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - Uvicorn's signature
        if not self._pod_ends:
            self._stop_accepting()
        await self._drain()
        if self.servers:
            self._stop_accepting()
            # What the last round of the loop has accepted is not in the set of connections yet.
            await self._drain()
        await self._cut_remaining()
        await self._finish_background_tasks()
        self._heartbeat.end_serving()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.lifespan.shutdown(), _LIFESPAN_END_SECONDS)

    def _receive(self) -> None:
        try:
            received = self._channel.receive()
        except ClosedError:
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            logger.warning("the supervisor is gone, draining")
            self._begin_drain(pod_ends=True, seconds=self._settings.grace)
            return
        if received is None:
            return
        message, files = received
        match message["command"]:
            case "drain":
                self._begin_drain(pod_ends=message["pod_ends"], seconds=message["seconds"])
            case "release":
                self._release(message["count"])
            case "adopt":
                self._handover.adopt(files)

    def _begin_drain(self, *, pod_ends: bool, seconds: float) -> None:
        # A second call comes when the pod ends while this worker drains already.
        self._pod_ends = self._pod_ends or pod_ends
        deadline = monotonic() + seconds
        self._deadline = min(self._deadline or deadline, deadline)
        self._closer.close_all()
        self._drain_requested.set()
        if self._starting is not None:
            self._starting.cancel()

    async def _drain(self) -> None:
        """Answer requests until no connection is left, or until the deadline.

        An idle connection moves to another worker as it is. When there is no other worker (the pod
        ends), it stays open for a while, in which its next request is answered with
        `Connection: close`; it is closed only when it was silent for all of that time.
        """
        silent: dict[Any, float] = {}
        quiet_rounds = 0
        while quiet_rounds < 2 and monotonic() < self._deadline:
            await asyncio.sleep(_POLL_SECONDS)
            await self.on_tick(0)
            now = monotonic()
            idle = [one for one in self.server_state.connections if is_idle(one)]
            if self._pod_ends:
                silent = {one: silent.get(one, now) for one in idle}
                for one, since in silent.items():
                    if now - since > self._settings.idle_wait and not has_unread(one.transport):
                        one.transport.close()
            else:
                self._handover.give(idle)
            state = self.server_state
            busy = state.connections or state.tasks or self._handover.pending
            quiet_rounds = 0 if busy else quiet_rounds + 1

    async def _finish_background_tasks(self) -> None:
        latest = monotonic() + self._settings.task_wait
        await self._background.finish(lambda: min(latest, self._deadline) - monotonic())

    async def _cut_remaining(self) -> None:
        state = self.server_state
        if state.connections or state.tasks:
            logger.warning(
                "the time to drain is over: closing %d connections, %d requests in progress",
                len(state.connections),
                len(state.tasks),
            )
        for one in list(state.connections):
            one.shutdown()
        for task in list(state.tasks):
            task.cancel("the worker's time to drain is over")
        if state.tasks:
            await asyncio.wait(state.tasks, timeout=1.0)

    def _release(self, count: int) -> None:
        """Give away `count` connections, idle ones first: that costs their clients nothing."""
        idle = [one for one in self.server_state.connections if is_idle(one)][:count]
        self._handover.give(idle)
        self._closer.close_next(count - len(idle))

    def _stop_accepting(self) -> None:
        # Closes this process's listener only: the others accept what waits on the shared socket.
        accepting.stop(self.servers)
        self.servers = []
        while self._paused:
            self._paused.pop().close()

    def _pause_accepting(self) -> None:
        """The other workers accept, or connections wait until some of this worker's are closed."""
        if self._closer.draining:
            return
        logger.warning("no files are left for more than %d connections", connection_limit())
        copies = [sock.dup() for server in self.servers for sock in server.sockets]
        self._stop_accepting()
        self._paused = copies

    def _resume_accepting(self) -> None:
        if self._paused and not self._closer.draining:
            self._handover.run(self._listen_again())

    async def _listen_again(self) -> None:
        sockets, self._paused = self._paused, []
        loop, backlog = asyncio.get_running_loop(), self._settings.backlog
        self.servers = [
            await loop.create_server(self._make_protocol, sock=sock, backlog=backlog)
            for sock in sockets
        ]
        if self._closer.draining:
            self._stop_accepting()

    def _make_protocol(self) -> Any:
        make: Callable[..., Any] = self.config.http_protocol_class
        return make(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


def leaving_count(limit: int) -> int:
    """The requests after which a worker is replaced: up to a tenth more, so not all at once."""
    return limit + int(limit * random.uniform(0.0, 0.1))  # noqa: S311 - jitter, not a secret


@cache
def _websocket_protocol() -> Any:
    """Uvicorn's for the library that the app has; None where it has none, or one too old."""
    try:
        return import_from_string(WS_PROTOCOLS["auto"])
    except ImportError as error:
        logger.warning(
            "WebSockets are not served: Uvicorn %s needs more: %s", uvicorn.__version__, error
        )
        return None


def make_config(app: Any, connection: Any, settings: RuntimeSettings) -> uvicorn.Config:
    """Uvicorn's configuration for an app that needs no adaptation."""
    return uvicorn.Config(
        app,
        interface="asgi3",
        host=settings.host,
        port=settings.port,
        http=connection,
        ws=_websocket_protocol(),
        ws_max_size=settings.ws_max_size,
        root_path=settings.root_path,
        lifespan=settings.lifespan,  # type: ignore[arg-type]  # the command line checks it
        log_config=None,
        access_log=settings.access_log,
        backlog=settings.backlog,
        # Uvicorn only passes it to a timer, which takes fractions.
        timeout_keep_alive=settings.keep_alive,  # type: ignore[arg-type]
        # Only requests with such headers pay for reading them: see app_stack.
        proxy_headers=False,
        server_header=False,
    )
