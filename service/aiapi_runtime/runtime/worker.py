"""A worker: one Uvicorn server on one loop, that knows how to leave without losing a request."""

import asyncio
import contextlib
import importlib
import logging
import os
import signal
import socket
from collections.abc import Callable, Generator
from functools import partial
from time import monotonic
from typing import Any

import uvicorn
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from aiapi_runtime.limits.connection import WholeRequestProtocol
from aiapi_runtime.limits.early_rejection import EarlyRejection, protocol
from aiapi_runtime.limits.middleware import ConcurrencyLimiter
from aiapi_runtime.runtime.channel import FILES_PER_MESSAGE, Channel, ClosedError
from aiapi_runtime.runtime.connection_close import ConnectionCloser, has_unread, is_idle
from aiapi_runtime.runtime.connection_limit import Connections, connection_limit
from aiapi_runtime.runtime.lifespan import LifespanRecorder
from aiapi_runtime.runtime.loading import describe, load_app
from aiapi_runtime.runtime.process_attributes import set_process_name
from aiapi_runtime.runtime.settings import Settings
from aiapi_runtime.runtime.worker_init import WorkerInit
from aiapi_runtime.runtime.wsgi import as_asgi, refuse_wsgi
from aiapi_runtime.telemetry import (
    aiohttp_calls,
    httpx_calls,
    metrics,
    sync_calls,
    threads,
    tracing,
)
from aiapi_runtime.telemetry.clock import new_loop
from aiapi_runtime.telemetry.counters import RequestCounters
from aiapi_runtime.telemetry.heartbeat import Heartbeat, Watchdog
from aiapi_runtime.telemetry.requests import count_requests
from aiapi_runtime.telemetry.shared_memory import WorkerMemory, WorkerSlot

logger = logging.getLogger("aiapi.worker")

_LIFESPAN_END_SECONDS = 10.0
_POLL_SECONDS = 0.05
_START_FAILURE = 3


class Worker(uvicorn.Server):
    """Uvicorn's server, told what to do by the supervisor instead of by signals."""

    def __init__(self, config: uvicorn.Config, channel: Channel, settings: Settings) -> None:
        super().__init__(config)
        self.closer = ConnectionCloser()
        self._channel = channel
        self._settings = settings
        self._told = asyncio.Event()
        self._last = False
        self._deadline = 0.0
        self._starting: asyncio.Task[None] | None = None
        self._adoptions: set[asyncio.Task[None]] = set()
        self.server_state.connections = Connections(
            connection_limit(), self._pause_accepting, self._accept_again
        )
        self._paused: list[socket.socket] = []

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """A SIGTERM to a worker alone is a wish, which the supervisor grants in its own order."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._channel.send, {"is": "asked"})
        loop.add_reader(self._channel.fileno(), self._listen)
        yield
        loop.remove_reader(self._channel.fileno())
        loop.remove_signal_handler(signal.SIGTERM)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._starting = asyncio.current_task()
        try:
            await super().startup(sockets)
        except asyncio.CancelledError:
            if not self._told.is_set():
                raise
            # Told to leave before it served anybody: there is nothing to finish.
            self.should_exit = True
            return
        finally:
            self._starting = None
        self._channel.send({"is": "ready", "pid": os.getpid()})

    async def main_loop(self) -> None:
        """Nothing to do but to keep the date header fresh, until told to leave."""
        while not self._told.is_set():
            await self.on_tick(0)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), 1.0)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - Uvicorn's signature
        if not self._last:
            self._stop_accepting()
        await self._drain()
        self._stop_accepting()
        await self._end_the_rest()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.lifespan.shutdown(), _LIFESPAN_END_SECONDS)

    def _stop_accepting(self) -> None:
        # Closes this process's listener only: what waits on the shared socket is for the others.
        for server in self.servers:
            server.close()
        while self._paused:
            self._paused.pop().close()

    def _pause_accepting(self) -> None:
        """No room: the other workers accept, or connections wait until somebody has gone."""
        if self.closer.leaving:
            return
        logger.warning("no files are left for more than %d connections", connection_limit())
        copies = [sock.dup() for server in self.servers for sock in server.sockets]
        self._stop_accepting()
        self._paused = copies

    def _accept_again(self) -> None:
        if self._paused and not self.closer.leaving:
            task = asyncio.get_running_loop().create_task(self._listen_again())
            self._adoptions.add(task)
            task.add_done_callback(self._adoptions.discard)

    async def _listen_again(self) -> None:
        sockets, self._paused = self._paused, []
        loop, backlog = asyncio.get_running_loop(), self._settings.backlog
        self.servers = [
            await loop.create_server(self._protocol, sock=sock, backlog=backlog) for sock in sockets
        ]
        if self.closer.leaving:
            self._stop_accepting()

    async def _drain(self) -> None:
        """Answer what comes until no connection is left, or the deadline.

        A connection that is idle goes to another worker as it is: its client notices nothing. When
        there is no other (the pod ends), it stays for a while in which its next request is
        answered and told to close; only one silent for all that time is closed.
        """
        silent: dict[Any, float] = {}
        quiet_rounds = 0
        while quiet_rounds < 2 and monotonic() < self._deadline:
            await asyncio.sleep(_POLL_SECONDS)
            await self.on_tick(0)
            now = monotonic()
            idle = [one for one in self.server_state.connections if is_idle(one)]
            if self._last:
                silent = {one: silent.get(one, now) for one in idle}
                for one, since in silent.items():
                    if now - since > self._settings.idle_wait and not has_unread(one):
                        one.transport.close()
            else:
                self._hand_over(idle)
            busy = self.server_state.connections or self.server_state.tasks or self._adoptions
            quiet_rounds = 0 if busy else quiet_rounds + 1

    def _shed(self, count: int) -> None:
        """Give away idle connections first, since that costs their clients nothing."""
        idle = [one for one in self.server_state.connections if is_idle(one)][:count]
        self._hand_over(idle)
        self.closer.shed(count - len(idle))

    def _hand_over(self, idle: list[Any]) -> None:
        """To the supervisor, which finds them another worker."""
        for start in range(0, len(idle), FILES_PER_MESSAGE):
            batch = idle[start : start + FILES_PER_MESSAGE]
            files = [one.transport.get_extra_info("socket").fileno() for one in batch]
            if not self._channel.send({"is": "idle"}, files):
                return
            for one in batch:
                one.transport.close()

    async def _end_the_rest(self) -> None:
        state = self.server_state
        if state.connections or state.tasks:
            logger.warning(
                "the time to leave is over: closing %d connections, %d requests in progress",
                len(state.connections),
                len(state.tasks),
            )
        for one in list(state.connections):
            one.shutdown()
        for task in list(state.tasks):
            task.cancel("the worker's time to leave is over")
        if state.tasks:
            await asyncio.wait(state.tasks, timeout=1.0)

    def _listen(self) -> None:
        try:
            received = self._channel.receive()
        except ClosedError:
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            logger.warning("the supervisor is gone, leaving")
            self._leave(last=True, seconds=self._settings.grace)
            return
        if received is None:
            return
        message, files = received
        match message["do"]:
            case "leave":
                self._leave(last=message["last"], seconds=message["seconds"])
            case "shed":
                self._shed(message["count"])
            case "adopt":
                for file in files:
                    task = asyncio.get_running_loop().create_task(self._adopt(file))
                    self._adoptions.add(task)
                    task.add_done_callback(self._adoptions.discard)

    def _leave(self, *, last: bool, seconds: float) -> None:
        # Told twice when a worker that leaves is overtaken by the end of the pod.
        self._last = self._last or last
        deadline = monotonic() + seconds
        self._deadline = min(self._deadline or deadline, deadline)
        self.closer.leave()
        self._told.set()
        if self._starting is not None:
            self._starting.cancel()

    async def _adopt(self, file: int) -> None:
        """Go on with a connection that another worker has accepted."""
        loop = asyncio.get_running_loop()
        sock = socket.socket(fileno=file)
        sock.setblocking(False)
        try:
            _, connection = await loop.connect_accepted_socket(self._protocol, sock)
        except OSError:
            sock.close()
            return
        if self.closer.leaving or connection.cycle is not None:
            return
        connection.timeout_keep_alive_task = loop.call_later(
            self._settings.keep_alive, connection.timeout_keep_alive_handler
        )

    def _protocol(self) -> Any:
        make: Callable[..., Any] = self.config.http_protocol_class
        return make(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


def _config(app: Any, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=WholeRequestProtocol,
        lifespan=settings.lifespan,  # type: ignore[arg-type]  # the command line checks it
        log_config=None,
        access_log=settings.access_log,
        backlog=settings.backlog,
        # Uvicorn only hands it to a timer, which takes fractions.
        timeout_keep_alive=settings.keep_alive,  # type: ignore[arg-type]
        # Only requests with such headers pay for reading them: see count_requests.
        proxy_headers=False,
        server_header=False,
    )


def warm_up(settings: Settings) -> None:
    """Import what a worker would import at its start, where all workers share it.

    Uvicorn imports its protocols when it loads a configuration; that was half of a start's time.
    """
    _config(_nothing, settings).load()
    if settings.loop != "asyncio":
        with contextlib.suppress(ImportError):
            importlib.import_module("uvloop.loop")


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    """An app to load a configuration with."""


async def _serve(
    init: WorkerInit, slot: WorkerSlot, recorder: LifespanRecorder, clock: Any
) -> None:
    settings = init.settings
    config = _config(recorder.app, settings)
    config.load()
    server = Worker(config, init.channel, settings)
    counters = RequestCounters(slot.numbers, slot.exemplars)
    recorder.app = config.loaded_app
    traced = tracing.set_up()
    if settings.limit != "off":
        limiter = ConcurrencyLimiter(config.loaded_app, settings.limit, clock)
        config.loaded_app = limiter
        if not traced:
            # Where spans are collected, a refusal is one too, and is made where they are.
            early_rejection = EarlyRejection(limiter, counters, server.closer, server.server_state)
            config.http_protocol_class = protocol(early_rejection)
    if traced:
        config.loaded_app = tracing.trace_requests(config.loaded_app)
    # Uvicorn types an app by the message; ours is any ASGI app.
    proxied: Any = partial(ProxyHeadersMiddleware, trusted_hosts=settings.forwarded_allow_ips)
    config.loaded_app = count_requests(
        config.loaded_app,
        counters,
        forwarded=proxied(config.loaded_app),
        other=proxied(recorder),
        closer=server.closer,
    )
    metrics.attach(slot.custom, lambda series: init.channel.send({"is": "series", **series}))
    heartbeat = Heartbeat(slot, clock, counters, lambda: len(server.server_state.connections))
    package = settings.app.partition(":")[0].partition(".")[0]
    watchdog = Watchdog(slot, counters, settings.blocked_after, init.supervisor, own=package)
    threads.watch()
    heartbeat.start()
    watchdog.start()
    try:
        await server.serve(sockets=[init.listener])
    finally:
        heartbeat.stop()
        watchdog.stop()
        tracing.shut_down()


def run(init: WorkerInit) -> int:
    """The life of a worker; returns its exit code."""
    set_process_name("aiapi-worker")
    settings = init.settings
    slot = WorkerMemory(init.memory_fd, settings.slots).slots[init.slot]
    init.channel.sock.setblocking(False)
    init.listener.setblocking(False)
    recorder = LifespanRecorder(init.app)
    try:
        if recorder.app is None:
            recorder.app = load_app(settings.app, settings.app_dir)
        if settings.upstream_tracking == "on":
            aiohttp_calls.track()
            httpx_calls.track()
            sync_calls.track()
        if settings.wsgi:
            recorder.app = as_asgi(recorder.app, settings.threads)
        else:
            refuse_wsgi(recorder.app, settings.app)
        loop, make_clock = new_loop(settings.loop)
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(_serve(init, slot, recorder, make_clock()))
    except BaseException as error:  # noqa: BLE001 - whatever it is, the supervisor has to hear of it
        # Uvicorn turns a failed start-up into a SystemExit; what the app said is in the recorder.
        said = recorder.failure if isinstance(error, SystemExit) else ""
        init.channel.send({"is": "failed", "traceback": said or describe(error)})
        return _START_FAILURE
    return 0
