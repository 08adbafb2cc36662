"""The pod's numbers as one compact JSON object: what the operator scrapes.

``GET /stats`` has each histogram as `bounds` and all `counts`. With ``?histograms=short``, the
bounds are sent once, in `bounds` of the answer. Each histogram then has its `counts` without the
zeros at both ends, and the number of the `first` bucket that is sent. Pods and operators are
upgraded apart, so both forms stay: an older runtime ignores the query, and an older operator does
not send it.

With ``?wait=SECONDS`` the answer is held back while the pod is at rest (see runtime/rest.py), up to
`longest_wait` seconds. ``&requests=COUNT`` is how many requests the caller knows of, open ones and
open WebSockets included: where there are more, the answer comes at once.
"""

import os
import socket
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiapi_runtime.telemetry.cgroup import UNKNOWN, CgroupLimits
from aiapi_runtime.telemetry.layout import BOUNDS, BUCKETS, OUTCOMES, POOLS, Cell, ThreadCell
from aiapi_runtime.telemetry.start_times import StartTimes

LONGEST_WAIT = 60
"""Seconds for which an answer is held back at most."""
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TCP_INFO_UNACKED_AND_SACKED = struct.Struct("24x2I")


@dataclass(frozen=True)
class WorkerCounts:
    """How many workers are in which state."""

    wanted: int
    starting: int
    ready: int
    draining: int
    failed: int
    blocked: int


@dataclass(frozen=True)
class ThreadPoolStats:
    """One kind of thread pool; all but the limit are sums over the workers."""

    limit: int
    """Threads in each worker."""

    busy: int
    waiting: int
    """Calls that wait for a thread."""

    busy_seconds: float
    waiting_seconds: float


def thread_pools(
    total: Sequence[float], rows: Iterable[Sequence[float]]
) -> dict[str, ThreadPoolStats]:
    """The pools that were ever used."""
    found = {}
    alive = list(rows)
    for number, name in enumerate(POOLS):
        start = Cell.THREADS + number * len(ThreadCell)
        limit = max((row[start + ThreadCell.LIMIT] for row in alive), default=0.0)
        if limit > 0 and total[start + ThreadCell.BUSY_SECONDS] > 0:
            found[name] = ThreadPoolStats(
                limit=int(limit),
                busy=int(total[start + ThreadCell.BUSY]),
                waiting=int(total[start + ThreadCell.WAITING]),
                busy_seconds=round(total[start + ThreadCell.BUSY_SECONDS], 6),
                waiting_seconds=round(total[start + ThreadCell.WAITING_SECONDS], 6),
            )
    return found


@dataclass(frozen=True)
class PodSnapshot:
    """The numbers of a pod at one instant."""

    instance: str
    uptime: float
    ready: bool
    workers: WorkerCounts
    blocked_at: str
    failure: str
    total: Sequence[float]
    rss_bytes: int
    accept_depth: int
    accept_limit: int
    worker_limit: int
    starts: StartTimes
    waits_known: bool
    """Whether the kernel measures how long workers wait for a CPU."""
    idle_seconds: float | None = None
    """Time without use; None where it is not known of every worker."""
    runtime: Mapping[str, str] = field(default_factory=dict)
    loop: str | None = None
    """The workers' event loop; None before the first was ready."""

    http: str | None = None
    limits: CgroupLimits = UNKNOWN
    threads: Mapping[str, ThreadPoolStats] = field(default_factory=dict)


_HISTOGRAMS = {
    "latency": (Cell.LATENCY, Cell.LATENCY_SUM),
    "ttfb": (Cell.TTFB, Cell.TTFB_SUM),
    "loop_lag": (Cell.LAG, Cell.LAG_SUM),
}
_BOUNDS = list(BOUNDS)


def histograms(row: Sequence[float], *, short: bool) -> dict[str, Any]:
    """All histograms, with their bounds; see the module's docstring for the two forms."""
    found: dict[str, Any] = {"bounds": _BOUNDS} if short else {}
    for name, (start, total) in _HISTOGRAMS.items():
        counts = [int(count) for count in row[start : start + BUCKETS]]
        form = _short(counts) if short else {"bounds": _BOUNDS, "counts": counts}
        found[name] = {**form, "sum": round(row[total], 6)}
    return found


def _short(counts: Sequence[int]) -> dict[str, Any]:
    used = [bucket for bucket, count in enumerate(counts) if count]
    first, end = (used[0], used[-1] + 1) if used else (0, 0)
    return {"first": first, "counts": counts[first:end]}


def as_json(snapshot: PodSnapshot, *, short: bool = False) -> dict[str, Any]:
    row = snapshot.total
    waited, start = row[Cell.RUN_QUEUE_SECONDS], snapshot.starts.last
    return {
        "version": 1,
        "longest_wait": LONGEST_WAIT,
        "instance": snapshot.instance,
        "runtime": dict(snapshot.runtime),
        "loop": snapshot.loop,
        "http": snapshot.http,
        "uptime": round(snapshot.uptime, 3),
        "ready": snapshot.ready,
        "idle_seconds": None if snapshot.idle_seconds is None else round(snapshot.idle_seconds, 3),
        "workers": vars(snapshot.workers),
        "blocked_at": snapshot.blocked_at,
        "failure": snapshot.failure,
        "requests": {name: int(row[index]) for index, name in enumerate(OUTCOMES)},
        "in_flight": int(row[Cell.IN_FLIGHT]),
        "in_flight_seconds": round(row[Cell.IN_FLIGHT_SECONDS], 6),
        "loop_seconds": round(row[Cell.LOOP_SECONDS], 6),
        "worker_seconds": round(row[Cell.WORKER_SECONDS], 6),
        "cpu_seconds": round(row[Cell.CPU_SECONDS], 6),
        "loop_cpu_seconds": round(row[Cell.LOOP_CPU_SECONDS], 6),
        "run_queue_seconds": round(waited, 6) if snapshot.waits_known else None,
        "start_seconds": None if start is None else round(start, 3),
        "upstream_seconds": round(row[Cell.UPSTREAM_SECONDS], 6),
        "rss_bytes": snapshot.rss_bytes,
        "cpu_throttled_seconds": round(snapshot.limits.cpu_throttled_seconds, 6),
        "cpu_limit_cores": snapshot.limits.cpu_limit_cores,
        "memory_limit_bytes": snapshot.limits.memory_limit_bytes,
        "open_connections": int(row[Cell.CONNECTIONS]),
        "open_websockets": int(row[Cell.WEBSOCKETS]),
        "open_streams": int(row[Cell.STREAMS]),
        "worker_limit": snapshot.worker_limit,
        "threads": {name: vars(pool) for name, pool in snapshot.threads.items()},
        "accept_queue": {"depth": snapshot.accept_depth, "limit": snapshot.accept_limit},
        **histograms(row, short=short),
    }


def accept_queue(listener: socket.socket) -> tuple[int, int]:
    """Connections that wait to be accepted, and their maximum: what TCP_INFO has for a listener."""
    info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    depth, limit = _TCP_INFO_UNACKED_AND_SACKED.unpack_from(info)
    return depth, limit


def resident_bytes(pid: int) -> int:
    """Resident memory of one process; 0 after it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0
