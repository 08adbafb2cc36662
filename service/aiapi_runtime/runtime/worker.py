"""The life of a worker process: one Uvicorn server on one event loop."""

import asyncio
import contextlib
import importlib
from typing import Any

from aiapi_runtime.limits.connection import WholeRequestProtocol
from aiapi_runtime.runtime import app_stack, client_metrics, random_state
from aiapi_runtime.runtime.connection_close import ConnectionCloser
from aiapi_runtime.runtime.lifespan import LifespanRecorder
from aiapi_runtime.runtime.loading import describe, load_app
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
from aiapi_runtime.telemetry.clock import LoopClock, new_loop
from aiapi_runtime.telemetry.counters import RequestCounters
from aiapi_runtime.telemetry.heartbeat import Heartbeat, Watchdog
from aiapi_runtime.telemetry.run_queue import RunQueue
from aiapi_runtime.telemetry.shared_memory import SlotMemory, WorkerSlot


def warm_up(settings: RuntimeSettings) -> None:
    """Import what every worker imports at its start, where all workers share the memory.

    Uvicorn imports its protocols when it loads a configuration, which took half of a start's time.
    """
    make_config(_no_app, WholeRequestProtocol, settings).load()
    if settings.loop != "asyncio":
        with contextlib.suppress(ImportError):
            importlib.import_module("uvloop.loop")


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
        app = _prepare(init)
        loop, make_clock = new_loop(settings.loop)
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(_serve(init, app, slot, make_clock(), recorder))
    except BaseException as error:  # noqa: BLE001 - the supervisor reports any failure
        # Uvicorn turns a failed start-up into a SystemExit; the recorder has the reason.
        reason = recorder.failure if isinstance(error, SystemExit) else ""
        init.channel.send({"event": "failed", "traceback": reason or describe(error)})
        return START_FAILURE
    return 0


def _prepare(init: WorkerInit) -> Any:
    """The user's app, imported and as ASGI."""
    settings = init.settings
    app = _app_of_fork(init) if init.app is not None else load_app(settings.app, settings.app_dir)
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
