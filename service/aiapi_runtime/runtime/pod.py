"""The pod as the admin port shows it: probes, totals, and one worker's row at a time."""

import secrets
import socket
from time import monotonic
from typing import Any

from aiapi_runtime.runtime.loading import last_line
from aiapi_runtime.runtime.settings import Settings
from aiapi_runtime.runtime.worker_pool import WorkerPool
from aiapi_runtime.runtime.worker_process import State, WorkerProcess
from aiapi_runtime.telemetry import cgroup, prometheus, stats
from aiapi_runtime.telemetry.layout import Cell
from aiapi_runtime.telemetry.shared_memory import PodTotals, WorkerMemory

# A scrape every few seconds should still see where a loop stood, when it moves again.
_REMEMBER_BLOCK_SECONDS = 30.0


class PodAdmin:
    """Reads; the one thing it changes is the wanted worker count."""

    def __init__(
        self,
        settings: Settings,
        pool: WorkerPool,
        memory: tuple[WorkerMemory, PodTotals],
        listener: socket.socket,
    ) -> None:
        self._settings = settings
        self._pool = pool
        self._memory, self._totals = memory
        self._listener = listener
        self._instance = secrets.token_hex(8)
        self._began = monotonic()
        self._sized = False
        self._first_ready_at = 0.0
        self._was_ready = False
        self.terminating = False
        pool.on_ready = self._note_ready

    @property
    def max_workers(self) -> int:
        return self._settings.max_workers

    @property
    def has_served(self) -> bool:
        """Whether it ever had a worker, and so may have clients."""
        return self._first_ready_at > 0

    def _note_ready(self) -> None:
        self._first_ready_at = self._first_ready_at or monotonic()

    def resize(self, count: int) -> dict[str, int]:
        self._sized = True
        self._pool.want(count)
        return {
            "wanted": self._pool.wanted,
            "ready": len(self._pool.of(State.READY)),
            "draining": len(self._pool.of(State.DRAINING)),
        }

    def _stuck(self) -> bool:
        now = monotonic()
        ready = self._pool.of(State.READY)
        return bool(ready) and all(
            self._pool.blocked(worker, self._settings.stuck_after, now) for worker in ready
        )

    def live(self) -> str:
        """Why it is not live; empty when it is."""
        if self._stuck() and not self.terminating:
            return f"no event loop has moved for {self._settings.stuck_after:g} s"
        return ""

    def ready(self) -> str:
        """Why it is not ready; empty when it is."""
        if self.terminating:
            return "terminating"
        ready = len(self._pool.of(State.READY))
        if ready == 0:
            return last_line(self._pool.failure) or "no worker is ready yet"
        if self._stuck():
            return self.live()
        if not self._was_ready:
            waited = monotonic() - self._first_ready_at
            if not self._sized and waited < self._settings.size_wait:
                return "waiting for the first PUT /workers"
            if ready < self._pool.wanted and waited < self._settings.start_limit:
                return f"{ready} of {self._pool.wanted} workers are ready"
        self._was_ready = True
        return ""

    def _rows(self, now: float) -> dict[int, list[float]]:
        return {slot: self._totals.read(slot, now) for slot in sorted(self._pool.workers)}

    def _counts(self, now: float) -> stats.WorkerCounts:
        pool = self._pool
        ready = pool.of(State.READY)
        starting = len(pool.of(State.STARTING))
        missing = max(0, pool.wanted - len(ready) - starting)
        failing = pool.failures > 0
        return stats.WorkerCounts(
            wanted=pool.wanted,
            starting=starting if failing else starting + missing,
            ready=len(ready),
            draining=len(pool.of(State.DRAINING)),
            failed=missing if failing else 0,
            blocked=sum(
                pool.blocked(worker, self._settings.blocked_after, now) for worker in ready
            ),
        )

    def _blocked_at(self, now: float) -> str:
        places = [
            (slot.numbers[Cell.BLOCKED_SINCE], slot.text)
            for slot in (self._memory.slots[index] for index in self._pool.workers)
            if slot.text
        ]
        since, place = max(places, default=(0.0, ""))
        return place if now - since < _REMEMBER_BLOCK_SECONDS or self._still(place) else ""

    def _still(self, place: str) -> bool:
        now = monotonic()
        return any(
            self._memory.slots[worker.slot].text == place
            and self._pool.blocked(worker, self._settings.blocked_after, now)
            for worker in self._pool.workers.values()
        )

    def reading(self, rows: dict[int, list[float]], now: float) -> stats.PodSnapshot:
        try:
            depth, limit = stats.accept_queue(self._listener)
        except OSError:
            depth, limit = 0, self._settings.backlog
        total = self._totals.total(list(rows.values()))
        return stats.PodSnapshot(
            instance=self._instance,
            uptime=now - self._began,
            ready=not self.ready(),
            workers=self._counts(now),
            blocked_at=self._blocked_at(now),
            failure=last_line(self._pool.failure),
            total=total,
            rss_bytes=sum(stats.resident_bytes(one.pid) for one in self._pool.workers.values()),
            accept_depth=depth,
            accept_limit=limit,
            worker_limit=self._settings.worker_limit,
            limits=cgroup.read(),
            threads=stats.pools(total, rows.values()),
        )

    def stats(self) -> dict[str, Any]:
        now = monotonic()
        return stats.as_json(self.reading(self._rows(now), now))

    def metrics(self, accept: str) -> tuple[str, bytes]:
        now = monotonic()
        rows = self._rows(now)
        workers = [
            prometheus.WorkerReading(slot, row, stats.resident_bytes(self._pool.workers[slot].pid))
            for slot, row in rows.items()
        ]
        pool = self._pool
        more = prometheus.ExtraMetrics(
            list(pool.app_metrics.families()),
            pool.blocks.places,
            prometheus.exemplars(self._memory.slots[slot].exemplars for slot in rows),
        )
        return prometheus.render(self.reading(rows, now), workers, more, accept)

    def status(self) -> dict[str, Any]:
        """For people: all that is known, the full traceback included."""
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
            "blocked_places": pool.blocks.places,
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
            "age": round(now - worker.born, 3),
            "requests": int(sum(row[: Cell.SHED + 1])),
            "in_flight": int(row[Cell.IN_FLIGHT]),
            "connections": int(row[Cell.CONNECTIONS]),
            "loop_utilisation": round(
                row[Cell.LOOP_SECONDS] / max(row[Cell.WORKER_SECONDS], 1e-9), 4
            ),
            "blocked": self._pool.blocked(worker, self._settings.blocked_after, now),
            "blocked_at": slot.text,
            "blocks": int(row[Cell.BLOCKS]),
        }
