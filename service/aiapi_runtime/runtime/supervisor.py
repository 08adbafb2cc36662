"""PID 1 of a pod: owns the socket, the shared memory, the workers and the admin port.

It runs no user code and never waits for a worker, so its admin port always answers.
"""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Sequence
from time import monotonic

from aiapi_runtime.launcher.refusal import Refusal
from aiapi_runtime.runtime import client_metrics, event_loop, injection
from aiapi_runtime.runtime.admin_routes import build
from aiapi_runtime.runtime.admin_server import AdminPort, AdminServer
from aiapi_runtime.runtime.listener import url
from aiapi_runtime.runtime.loading import last_line
from aiapi_runtime.runtime.pod import PodAdmin
from aiapi_runtime.runtime.process_attributes import (
    become_subreaper,
    raise_open_file_limit,
    set_process_name,
)
from aiapi_runtime.runtime.settings import RuntimeSettings
from aiapi_runtime.runtime.sidecars import Sidecar, SidecarGroup
from aiapi_runtime.runtime.spawner import Spawner
from aiapi_runtime.runtime.worker_pool import WorkerPool
from aiapi_runtime.runtime.worker_process import WorkerState
from aiapi_runtime.telemetry.shared_memory import PodTotals, SlotMemory

logger = logging.getLogger("aiapi.supervisor")

_TICK_SECONDS = 0.25
_SIDECARS_STOP_SECONDS = 2.0
# The part of the grace period for the workers' own end (lifespan shutdown, exit).
_RESERVE_SECONDS = 2.0


class Supervisor:
    """Runs from before the first worker until after the last."""

    def __init__(
        self,
        settings: RuntimeSettings,
        *,
        listener: socket.socket,
        admin: AdminPort,
        sidecars: Sequence[Sidecar] = (),
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._admin_url = admin.url
        memory = SlotMemory.create(settings.slots)
        totals = PodTotals(memory)
        self._pool = WorkerPool(settings, memory, totals, settings.workers)
        # The container ends, as it does under Uvicorn, and the pod's status has the reason.
        self._pool.gives_up = injection.current() is not None
        self._client_metrics = client_metrics.of_pod(settings, admin.socket)
        self._pool.spawner = Spawner(settings, listener, memory.fd, self._pool)
        self._pool.spawner.environment = self._client_metrics.environment
        self._pod = PodAdmin(settings, self._pool, (memory, totals), listener, self._client_metrics)
        self._admin = AdminServer(build(self._pod, admin.token), admin)
        self._sidecars = SidecarGroup(sidecars)
        self._stop = asyncio.Event()
        self._skip_delay = asyncio.Event()
        self._kill_now = asyncio.Event()

    async def run(self) -> int:
        set_process_name("aiapi-serve")
        become_subreaper()
        raise_open_file_limit()
        self._handle_signals()
        admin = asyncio.create_task(self._admin.run_until_stopped())
        self._log_start()
        self._sidecars.tick()
        self._pool.reconcile()
        try:
            await self._supervise()
            if not self._pool.cannot_serve:
                await self._end()
                await self._stop_sidecars()
        finally:
            self._pool.kill()
            self._sidecars.kill()
            self._pool.spawner.stop()
            self._admin.stop()
            await asyncio.wait([admin], timeout=2.0)
            self._listener.close()
            self._client_metrics.close()
        if self._pool.cannot_serve:
            # Reported after the loop has ended: nothing is logged after it.
            raise self._refusal()
        logger.info("all workers have ended")
        return 0

    def _refusal(self) -> Refusal:
        app, why = self._settings.app, last_line(self._pool.failure)
        if self._pool.import_failure == "AppNotFound":
            from aiapi_runtime.launcher.choice import not_found  # noqa: PLC0415 - for this alone

            return not_found(injection.launcher(), app, why, self._settings.app_dir)
        if self._pool.import_failure == "AppNotCallable":
            text = why.partition(": ")[2]
            return Refusal("AppNotCallable", f"{text}. Name the app itself, as in app = FastAPI()")
        return Refusal(
            "ImportFailed",
            f"{app} raises an error on import: {why}. The traceback is in the log; check the "
            "variables and files that the app needs",
        )

    def _log_start(self) -> None:
        logger.info(
            "serving %s on %s with %d %s, admin on %s",
            self._settings.app,
            url(self._listener),
            self._settings.workers,
            "worker" if self._settings.workers == 1 else "workers",
            self._admin_url,
        )

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        loop.add_signal_handler(signal.SIGTERM, self._terminate, False)
        loop.add_signal_handler(signal.SIGINT, self._terminate, True)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            # Under nohup it is ignored: a closed terminal is no reason to drop requests.
            loop.add_signal_handler(signal.SIGHUP, self._terminate, False)
        loop.add_signal_handler(signal.SIGTTIN, self._step, +1)
        loop.add_signal_handler(signal.SIGTTOU, self._step, -1)

    def _terminate(self, interactive: bool) -> None:
        # A person at a terminal does not wait for a load balancer, and a second signal for nothing.
        if self._stop.is_set():
            self._kill_now.set()
        if interactive or self._stop.is_set():
            self._skip_delay.set()
        self._pod.terminating = True
        self._stop.set()

    def _step(self, change: int) -> None:
        wanted = self._pool.wanted + change
        if 1 <= wanted <= self._settings.max_workers:
            self._pool.scale(wanted)

    def _reap(self) -> None:
        # The last messages of a process explain its end, so they are read first.
        self._pool.spawner.receive()
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._client_metrics.ended(pid)
            text = _describe_exit(os.waitstatus_to_exitcode(status))
            if pid == self._pool.spawner.pid:
                self._pool.spawner.ended(text)
            elif not self._sidecars.ended(pid, text):
                self._pool.ended(pid, text)

    async def _supervise(self) -> None:
        while not self._stop.is_set() and not self._pool.cannot_serve:
            await event_loop.wait(self._stop, _TICK_SECONDS)
            self._sidecars.tick()
            self._client_metrics.tick()
            self._pool.tick()

    async def _end(self) -> None:
        """The pod is not ready from now on; it serves through the drain delay, then drains."""
        grace = self._settings.grace
        delay = self._settings.drain_delay if self._pod.has_served else 0.0
        logger.info("terminating: draining starts in %g s and takes up to %g s", delay, grace)
        started = monotonic()
        while monotonic() - started < delay and not self._skip_delay.is_set():
            await event_loop.wait(self._skip_delay, min(_TICK_SECONDS, delay))
            self._pool.tick()
        started = monotonic()
        self._pool.end(max(grace / 2, grace - _RESERVE_SECONDS))
        while self._pool.workers and monotonic() - started < grace:
            if self._kill_now.is_set():
                logger.warning("second signal: killing %d workers", len(self._pool.workers))
                return
            await event_loop.wait(self._kill_now, 0.05)
            self._pool.tick()
        for worker in self._pool.in_state(WorkerState.DRAINING):
            logger.error("worker %d did not end within the grace period", worker.pid)

    async def _stop_sidecars(self) -> None:
        """After the workers, which use them until they end."""
        self._sidecars.stop()
        if not self._kill_now.is_set():
            await event_loop.wait(self._sidecars.stopped, _SIDECARS_STOP_SECONDS)


def _describe_exit(code: int) -> str:
    if code >= 0:
        return f"ended with {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        # Most real-time signals have no name.
        return f"was killed by signal {-code}"
