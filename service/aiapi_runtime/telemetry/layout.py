"""Where each number of a worker is in its slot of the shared memory.

A slot is a fixed row of 8-byte cells, all doubles: one aligned store per cell, so a reader in
another process never sees half a number. Integers are exact up to 2**53.
"""

from enum import IntEnum
from struct import Struct


def _bounds() -> tuple[float, ...]:
    """Upper bounds 1.2 times apart: a percentile read at a bucket's middle is within 10 %."""
    bounds: list[float] = []
    bound = 0.0001
    while bound < 72.0:
        bounds.append(float(f"{bound:.4g}"))
        bound *= 1.2
    return tuple(bounds)


BOUNDS = _bounds()
BUCKETS = len(BOUNDS) + 1
# Prometheus gets every third bound: queries interpolate, and there are fewer series.
COARSE = 3
OUTCOMES = ("success", "client_error", "server_error", "cancelled", "shed")


class Cell(IntEnum):
    """Index of a number in the slot; the outcomes come first, in the order of OUTCOMES."""

    SUCCESS = 0
    CLIENT_ERROR = 1
    SERVER_ERROR = 2
    CANCELLED = 3
    SHED = 4
    IN_FLIGHT = 5
    IN_FLIGHT_SECONDS = 6
    IN_FLIGHT_AT = 7
    UPSTREAM_OPEN = 8
    UPSTREAM_SECONDS = 9
    UPSTREAM_AT = 10
    LOOP_SECONDS = 11
    WORKER_SECONDS = 12
    CPU_SECONDS = 13
    LOOP_CPU_SECONDS = 14
    RUN_QUEUE_SECONDS = 15
    RUN_QUEUE_AT_BEAT = 16
    SERVING = 17
    BEAT_AT = 18
    CONNECTIONS = 19
    WEBSOCKETS = 20
    STREAMS = 21
    BLOCKS = 22
    BLOCKED_SINCE = 23
    USED_AT = 24
    LATENCY_SUM = 25
    LATENCY = 26
    TTFB_SUM = LATENCY + BUCKETS
    TTFB = TTFB_SUM + 1
    LAG_SUM = TTFB + BUCKETS
    LAG = LAG_SUM + 1
    THREADS = LAG + BUCKETS


class ThreadCell(IntEnum):
    """The numbers of one thread pool; the pools follow each other from `Cell.THREADS` on."""

    LIMIT = 0
    BUSY = 1
    WAITING = 2
    BUSY_SECONDS = 3
    WAITING_SECONDS = 4


# anyio's default limiter (plain `def` endpoints), asyncio's default executor, and `--wsgi`.
POOLS = ("anyio", "asyncio", "wsgi")
NUMBERS = Cell.THREADS + len(POOLS) * len(ThreadCell)
# For the app's own metrics: see metrics.py.
CUSTOM_NUMBERS = 2048
TEXT_BYTES = 256
# The last traced request of each coarse bucket: trace id, seconds, time.
EXEMPLAR = Struct("16sdd")
EXEMPLARS = (BUCKETS - 1) // COARSE + 1
SLOT_BYTES = (NUMBERS + CUSTOM_NUMBERS) * 8 + EXEMPLARS * EXEMPLAR.size + TEXT_BYTES

# Dropped when the worker ends; all other numbers are counters and are kept.
GAUGES = (
    Cell.IN_FLIGHT,
    Cell.IN_FLIGHT_AT,
    Cell.UPSTREAM_OPEN,
    Cell.UPSTREAM_AT,
    Cell.RUN_QUEUE_AT_BEAT,
    Cell.SERVING,
    Cell.BEAT_AT,
    Cell.CONNECTIONS,
    Cell.WEBSOCKETS,
    Cell.STREAMS,
    Cell.BLOCKED_SINCE,
    Cell.USED_AT,
    *(
        Cell.THREADS + pool * len(ThreadCell) + number
        for pool in range(len(POOLS))
        for number in (ThreadCell.LIMIT, ThreadCell.BUSY, ThreadCell.WAITING)
    ),
)
