"""A worker's heartbeat, and the watchdog that records where the loop is blocked when it stops.

The heartbeat is a timer on the loop itself, so it stops when the loop does. The watchdog is a
thread, which continues then: it reads the main thread's stack and writes the place into the slot,
together with what the loop has counted but could not write, such as the request that blocks it.
"""

import asyncio
import math
import os
import sys
import sysconfig
import threading
import time
from bisect import bisect_left
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from types import FrameType

from aiapi_runtime.telemetry import metrics, threads
from aiapi_runtime.telemetry.clock import LoopClock
from aiapi_runtime.telemetry.counters import RequestCounters
from aiapi_runtime.telemetry.layout import BOUNDS, Cell
from aiapi_runtime.telemetry.shared_memory import BEAT_SECONDS, WorkerSlot

_MAX_SAMPLES = 1000


class Heartbeat:
    """Writes the worker's numbers ten times a second, and samples how late the loop is."""

    def __init__(
        self,
        slot: WorkerSlot,
        clock: LoopClock,
        counters: RequestCounters,
        connections: Callable[[], int],
    ) -> None:
        self._slot = slot
        self._counters = counters
        self._clock = clock
        self._connections = connections
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._write(monotonic())
        self._schedule()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._write(monotonic())

    def _schedule(self) -> None:
        self._due = monotonic() + BEAT_SECONDS
        self._timer = self._loop.call_later(BEAT_SECONDS, self._beat)

    def _beat(self) -> None:
        now = monotonic()
        self._sample_lag(max(0.0, now - self._due))
        self._write(now)
        self._schedule()

    def _sample_lag(self, lag: float) -> None:
        # A block hides the beats within it: each of them would have been late too.
        numbers = self._slot.numbers
        for _ in range(min(_MAX_SAMPLES, 1 + math.floor(lag / BEAT_SECONDS))):
            numbers[Cell.LAG + bisect_left(BOUNDS, lag)] += 1
            numbers[Cell.LAG_SUM] += lag
            lag -= BEAT_SECONDS

    def _write(self, now: float) -> None:
        numbers = self._slot.numbers
        self._counters.write()
        metrics.write()
        threads.write(numbers, now)
        numbers[Cell.LOOP_SECONDS], numbers[Cell.WORKER_SECONDS] = self._clock.read()
        numbers[Cell.CPU_SECONDS] = time.process_time()
        numbers[Cell.CONNECTIONS] = self._connections()
        numbers[Cell.WEBSOCKETS] = self._counters.websockets
        numbers[Cell.STREAMS] = self._counters.streams
        numbers[Cell.BEAT_AT] = now


class Watchdog(threading.Thread):
    """Watches the heartbeat of this process's main thread."""

    def __init__(
        self,
        slot: WorkerSlot,
        counters: RequestCounters,
        blocked_after: float,
        parent: int,
        *,
        own: str = "",
    ) -> None:
        super().__init__(name="aiapi-watchdog", daemon=True)
        self._own = own
        self._slot = slot
        self._counters = counters
        self._blocked_after = blocked_after
        self._parent = parent
        self._main = threading.main_thread().ident or 0
        self._stopped = threading.Event()

    def stop(self) -> None:
        self._stopped.set()

    def run(self) -> None:
        blocked_since = 0.0
        while not self._stopped.wait(min(0.5, self._blocked_after / 4)):
            numbers = self._slot.numbers
            beat = numbers[Cell.BEAT_AT]
            if beat == 0 or monotonic() - beat < self._blocked_after:
                continue
            frame = sys._current_frames().get(self._main)  # noqa: SLF001 - the only way to see another thread's stack
            if not _is_counting(frame):
                self._counters.write()
            if beat != blocked_since:
                blocked_since = beat
                self._slot.text = code_location(frame, self._own)
                numbers[Cell.BLOCKED_SINCE] = beat
                numbers[Cell.BLOCKS] += 1
            if os.getppid() != self._parent:
                # The supervisor is gone, and the blocked loop cannot react to that.
                os._exit(1)


_TELEMETRY = str(Path(__file__).parent)


def _is_counting(frame: FrameType | None) -> bool:
    """Whether that thread may be between two additions that belong together."""
    return frame is not None and frame.f_code.co_filename.startswith(_TELEMETRY)


# Frames of Python, of libraries and of this package lead to the place but are not it.
_RUNTIME = (str(Path(__file__).parents[1] / "runtime"), _TELEMETRY)
_LIBRARY = (
    *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
    *_RUNTIME,
    "<",
)


def code_location(frame: FrameType | None, own: str = "") -> str:
    """`file:line function` of the innermost frame of the user's own code, or else of any.

    `own` is the app's top-level package, which may be installed among the libraries.
    """
    place = ""
    while frame is not None:
        code = frame.f_code
        here = f"{code.co_filename}:{frame.f_lineno} {code.co_qualname}"
        if not code.co_filename.startswith(_LIBRARY) or _belongs_to(frame, own):
            return here
        place = place or here
        frame = frame.f_back
    return place


def _belongs_to(frame: FrameType, package: str) -> bool:
    module = str(frame.f_globals.get("__name__"))
    return module.partition(".")[0] == package and not frame.f_code.co_filename.startswith(_RUNTIME)
