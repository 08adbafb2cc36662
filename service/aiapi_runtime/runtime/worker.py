"""The life of a worker process: one Uvicorn server on one event loop."""

import logging
from typing import Any

from aiapi_runtime.limits import protocol
from aiapi_runtime.runtime import app_stack, client_metrics, event_loop, random_state
from aiapi_runtime.runtime.connection_close import ConnectionCloser
from aiapi_runtime.runtime.lifespan import LifespanRecorder
from aiapi_runtime.runtime.loading import describe, import_failure, load_app
from aiapi_runtime.runtime.process_attributes import set_process_name
from aiapi_runtime.runtime.settings import RuntimeSettings
from aiapi_runtime.runtime.worker_init import WorkerInit
from aiapi_runtime.runtime.worker_server import START_FAILURE, WorkerServer, make_config
from aiapi_runtime.runtime.wsgi import as_asgi, refuse_wsgi
from aiapi_runtime.telemetry import (
    aiohttp_calls,
    httpx_calls,
    metrics,
    sync_calls,
    threads,
    tracing,
)
from aiapi_runtime.telemetry.clock import LoopClock, load_uvloop, new_loop
from aiapi_runtime.telemetry.counters import RequestCounters
from aiapi_runtime.telemetry.heartbeat import Heartbeat, Watchdog
from aiapi_runtime.telemetry.run_queue import RunQueue
from aiapi_runtime.telemetry.shared_memory import SlotMemory, WorkerSlot

logger = logging.getLogger("aiapi.worker")


def warm_up(settings: RuntimeSettings) -> None:
    """Import what every worker imports at its start, where all workers share the memory.

    Uvicorn imports its protocols when it loads a configuration, which took half of a start's time.
    """
    make_config(_no_app, protocol.plain_protocol(), settings).load()
    if settings.loop != "asyncio":
        _, missing = load_uvloop()
        if missing and settings.loop == "auto":
            logger.warning("the event loop is asyncio's: %s", missing)
    if protocol.MISSING:
        logger.warning("requests are parsed by h11: %s", protocol.MISSING)


async def _no_app(scope: Any, receive: Any, send: Any) -> None:
    """An app to load a configuration with."""


def run(init: WorkerInit) -> int:
    """Serve until the supervisor ends this worker; returns the exit code."""
    set_process_name("aiapi-worker")
    settings = init.settings
    slot = SlotMemory(init.memory_fd, settings.slots).slots[init.slot]
    init.channel.sock.setblocking(False)
    init.listener.setblocking(False)
    recorder = LifespanRecorder()
    try:
        app = load_app(settings) if init.app is None else _app_of_fork(init)
    except BaseException as error:  # noqa: BLE001 - whatever the app raises is reported
        return _fail(init, describe(error), import_failure(error))
    try:
        app = _prepare(app, settings)
        loop, make_clock = new_loop(settings.loop)
        event_loop.run(loop, _serve(init, app, slot, make_clock(), recorder))
    except BaseException as error:  # noqa: BLE001 - the supervisor reports any failure
        # Uvicorn turns a failed start-up into a SystemExit; the recorder has the reason.
        reason = recorder.failure if isinstance(error, SystemExit) else ""
        return _fail(init, reason or describe(error))
    return 0


def _fail(init: WorkerInit, traceback: str, reason: str = "") -> int:
    init.channel.send({"event": "failed", "traceback": traceback, "reason": reason})
    return START_FAILURE


def _prepare(app: Any, settings: RuntimeSettings) -> Any:
    """The imported app as ASGI."""
    client_metrics.worker_has_app(settings)
    if settings.upstream_tracking == "on":
        aiohttp_calls.track()
        httpx_calls.track()
        sync_calls.track()
    if settings.wsgi:
        return as_asgi(app, settings.threads)
    refuse_wsgi(app, settings.app)
    return app


def _app_of_fork(init: WorkerInit) -> Any:
    random_state.reseed()
    client_metrics.worker_is_forked(init.settings)
    return init.app


async def _serve(
    init: WorkerInit, app: Any, slot: WorkerSlot, clock: LoopClock, recorder: LifespanRecorder
) -> None:
    settings = init.settings
    counters = RequestCounters(slot.numbers, slot.exemplars)
    closer = ConnectionCloser()
    stack = app_stack.build(
        app,
        settings,
        counters=counters,
        clock=clock,
        closer=closer,
        recorder=recorder,
        traced=tracing.set_up(),
    )
    config = make_config(stack.app, stack.protocol, settings)
    run_queue = RunQueue()
    heartbeat = Heartbeat(slot, clock, run_queue, counters)
    server = WorkerServer(config, settings, init.channel, closer, heartbeat)
    metrics.attach(slot.custom, lambda series: init.channel.send({"event": "series", **series}))
    package = settings.app.partition(":")[0].partition(".")[0]
    watchdog = Watchdog(
        slot, counters, settings.blocked_after, init.supervisor, run_queue, own=package
    )
    threads.watch_default_pools()
    gauges = client_metrics.function_gauges(settings)
    heartbeat.start()
    watchdog.start()
    gauges.start()
    try:
        await server.serve(sockets=[init.listener])
    finally:
        gauges.stop()
        heartbeat.stop()
        watchdog.stop()
        tracing.shut_down()
