"""The pod as the admin port shows it: probes, totals, and one row per worker."""

import os
import secrets
import socket
from time import monotonic
from typing import Any

from aiapi_runtime.runtime import injection
from aiapi_runtime.runtime.loading import last_line
from aiapi_runtime.runtime.rest import Activity, requests_of, wait_at_rest
from aiapi_runtime.runtime.settings import RuntimeSettings
from aiapi_runtime.runtime.worker_pool import WorkerPool
from aiapi_runtime.runtime.worker_process import WorkerProcess, WorkerState
from aiapi_runtime.telemetry import cgroup, prometheus, run_queue, stats
from aiapi_runtime.telemetry.idleness import IN_USE, idle_seconds
from aiapi_runtime.telemetry.layout import Cell
from aiapi_runtime.telemetry.multiprocess.pod_metrics import PodMetrics
from aiapi_runtime.telemetry.shared_memory import PodTotals, SlotMemory

# A scrape every few seconds still shows where a loop was blocked after it runs again.
_REMEMBER_BLOCK_SECONDS = 30.0
_WAITS_UNKNOWN = "unknown: this kernel has no /proc/PID/task/TID/schedstat, or it shows only zeros"


class PodAdmin:
    """Only reads, except for the wanted worker count."""

    def __init__(
        self,
        settings: RuntimeSettings,
        pool: WorkerPool,
        memory: tuple[SlotMemory, PodTotals],
        listener: socket.socket,
        client_metrics: PodMetrics,
    ) -> None:
        self._settings = settings
        self._pool = pool
        self._memory, self._totals = memory
        self._listener = listener
        self._client_metrics = client_metrics
        self._instance = secrets.token_hex(8)
        self._runtime = injection.describe()
        self._started_at = monotonic()
        self._waits_known = run_queue.delay_of(os.getpid()) is not None
        self._was_resized = False
        self._first_ready_at = 0.0
        self._was_ready = False
        self.terminating = False
        pool.on_ready = self._note_ready

    @property
    def max_workers(self) -> int:
        return self._settings.max_workers

    @property
    def has_served(self) -> bool:
        """Whether a worker was ever ready, so that the pod may have clients."""
        return self._first_ready_at > 0

    def _note_ready(self) -> None:
        self._first_ready_at = self._first_ready_at or monotonic()

    def resize(self, count: int) -> dict[str, int]:
        self._was_resized = True
        self._pool.scale(count)
        return {
            "wanted": self._pool.wanted,
            "ready": len(self._pool.in_state(WorkerState.READY)),
            "draining": len(self._pool.in_state(WorkerState.DRAINING)),
        }

    def _is_stuck(self) -> bool:
        now = monotonic()
        ready = self._pool.in_state(WorkerState.READY)
        return bool(ready) and all(
            self._pool.is_blocked(worker, self._settings.stuck_after, now) for worker in ready
        )

    def live(self) -> str:
        """Why the pod is not live; empty when it is."""
        if self._is_stuck() and not self.terminating:
            return f"all event loops have been blocked for {self._settings.stuck_after:g} s"
        return ""

    def serves(self) -> str:
        """Why no worker serves; empty when one does."""
        if self.terminating:
            return "terminating"
        if not self._pool.in_state(WorkerState.READY):
            return last_line(self._pool.failure) or "no worker is ready yet"
        return self.live()

    def ready(self) -> str:
        """Why the pod is not ready; empty when it is."""
        reason = self.serves()
        if reason or self._was_ready:
            return reason
        reason = self._workers_missing()
        self._was_ready = not reason
        return reason

    def _workers_missing(self) -> str:
        ready = len(self._pool.in_state(WorkerState.READY))
        waited = monotonic() - self._first_ready_at
        if not self._was_resized and waited < self._settings.size_wait:
            return "waiting for the first PUT /workers"
        if ready < self._pool.wanted and waited < self._settings.start_limit:
            return f"{ready} of {self._pool.wanted} workers are ready"
        return ""

    def _rows(self, now: float) -> dict[int, list[float]]:
        workers = sorted(self._pool.workers.items())
        return {slot: self._totals.read(slot, now, worker.pid) for slot, worker in workers}

    def _counts(self, now: float) -> stats.WorkerCounts:
        pool = self._pool
        ready = pool.in_state(WorkerState.READY)
        starting = len(pool.in_state(WorkerState.STARTING))
        missing = max(0, pool.wanted - len(ready) - starting)
        failing = pool.failures > 0
        return stats.WorkerCounts(
            wanted=pool.wanted,
            starting=starting if failing else starting + missing,
            ready=len(ready),
            draining=len(pool.in_state(WorkerState.DRAINING)),
            failed=missing if failing else 0,
            blocked=sum(
                pool.is_blocked(worker, self._settings.blocked_after, now) for worker in ready
            ),
        )

    def _blocked_at(self, now: float) -> str:
        places = [
            (slot.numbers[Cell.BLOCKED_SINCE], slot.text)
            for slot in (self._memory.slots[index] for index in self._pool.workers)
            if slot.text
        ]
        since, place = max(places, default=(0.0, ""))
        recent = now - since < _REMEMBER_BLOCK_SECONDS
        return place if recent or self._is_still_blocked(place, now) else ""

    def _is_still_blocked(self, place: str, now: float) -> bool:
        return any(
            self._memory.slots[worker.slot].text == place
            and self._pool.is_blocked(worker, self._settings.blocked_after, now)
            for worker in self._pool.workers.values()
        )

    def _idle_seconds(self, used_at: float, now: float) -> float | None:
        """A worker whose loop is blocked does not see the requests that wait for it."""
        if used_at == IN_USE:
            return 0.0
        blocked = any(
            self._pool.is_blocked(worker, self._settings.blocked_after, now)
            for worker in self._pool.workers.values()
        )
        if blocked or not self._pool.in_state(WorkerState.READY):
            return None
        return idle_seconds(used_at, self._first_ready_at, now)

    def _snapshot(self, rows: dict[int, list[float]], now: float) -> stats.PodSnapshot:
        try:
            depth, limit = stats.accept_queue(self._listener)
        except OSError:
            depth, limit = 0, self._settings.backlog
        total = self._totals.total(list(rows.values()))
        return stats.PodSnapshot(
            instance=self._instance,
            uptime=now - self._started_at,
            ready=not self.ready(),
            workers=self._counts(now),
            blocked_at=self._blocked_at(now),
            failure=last_line(self._pool.failure),
            total=total,
            rss_bytes=sum(stats.resident_bytes(one.pid) for one in self._pool.workers.values()),
            accept_depth=depth,
            accept_limit=limit,
            worker_limit=self._settings.worker_limit,
            starts=self._pool.start_times,
            waits_known=self._waits_known,
            idle_seconds=self._idle_seconds(total[Cell.USED_AT], now),
            runtime=self._runtime,
            loop=self._pool.loop,
            http=self._pool.http,
            limits=cgroup.read(),
            threads=stats.thread_pools(total, rows.values()),
        )

    async def rest(self, requests: int | None, seconds: float) -> None:
        await wait_at_rest(self._activity, requests, seconds)

    def _activity(self) -> Activity:
        rows = [self._memory.slots[slot].numbers for slot in self._pool.workers]
        return Activity(
            requests=sum(map(requests_of, (self._totals.retired, *rows))),
            workers=self._counts(monotonic()),
            not_ready=self.ready(),
            loop_seconds=sum(row[Cell.LOOP_SECONDS] for row in rows),
        )

    def stats(self, *, short: bool) -> dict[str, Any]:
        now = monotonic()
        return stats.as_json(self._snapshot(self._rows(now), now), short=short)

    async def metrics(self, accept: str) -> tuple[str, bytes]:
        client_families = await self._client_metrics.families()
        now = monotonic()
        rows = self._rows(now)
        pool = self._pool
        workers = [
            prometheus.WorkerReading(slot, row, stats.resident_bytes(pool.workers[slot].pid))
            for slot, row in rows.items()
        ]
        extra = prometheus.ExtraMetrics(
            [*pool.app_metrics.families(), *client_families],
            pool.blocked_places.counts,
            prometheus.exemplars(self._memory.slots[slot].exemplars for slot in rows),
        )
        return prometheus.render(self._snapshot(rows, now), workers, extra, accept)

    def status(self) -> dict[str, Any]:
        """For people: everything that is known, with the full traceback."""
        now = monotonic()
        rows = self._rows(now)
        pool = self._pool
        return {
            "instance": self._instance,
            "app": self._settings.app,
            "preloaded": pool.spawner.preloads,
            "not_ready": self.ready(),
            "terminating": self.terminating,
            "workers": [self._worker(pool.workers[slot], row, now) for slot, row in rows.items()],
            "wanted": pool.wanted,
            "cpu_waits": "measured" if self._waits_known else _WAITS_UNKNOWN,
            "blocked_places": pool.blocked_places.counts,
            "failure": pool.failure,
            "failures": pool.failures,
            "retry_in": round(max(0.0, pool.retry_at - now), 3) if pool.failures else 0.0,
        }

    def _worker(self, worker: WorkerProcess, row: list[float], now: float) -> dict[str, Any]:
        slot = self._memory.slots[worker.slot]
        return {
            "slot": worker.slot,
            "pid": worker.pid,
            "state": worker.state.value,
            "age": round(now - worker.started_at, 3),
            "requests": int(sum(row[: Cell.SHED + 1])),
            "in_flight": int(row[Cell.IN_FLIGHT]),
            "connections": int(row[Cell.CONNECTIONS]),
            "websockets": int(row[Cell.WEBSOCKETS]),
            "streams": int(row[Cell.STREAMS]),
            "loop_utilisation": round(
                row[Cell.LOOP_SECONDS] / max(row[Cell.WORKER_SECONDS], 1e-9), 4
            ),
            "blocked": self._pool.is_blocked(worker, self._settings.blocked_after, now),
            "blocked_at": slot.text,
            "blocks": int(row[Cell.BLOCKS]),
        }
