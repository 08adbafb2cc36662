"""A worker's heartbeat, and the watchdog that records where the loop is blocked when it stops.

Times count as load only while the worker serves: its start-up (loading a model, say) and the
shutdown of its lifespan keep a loop busy too, but more workers would not help.

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
from array import array
from bisect import bisect_left
from collections.abc import Callable
from operator import sub
from pathlib import Path
from time import monotonic
from types import FrameType

from aiapi_runtime.telemetry import metrics, threads
from aiapi_runtime.telemetry.clock import LoopClock
from aiapi_runtime.telemetry.counters import RequestCounters
from aiapi_runtime.telemetry.layout import BOUNDS, Cell
from aiapi_runtime.telemetry.run_queue import RunQueue
from aiapi_runtime.telemetry.shared_memory import BEAT_SECONDS, WorkerSlot

_MAX_SAMPLES = 1000


class Heartbeat:
    """Writes the worker's numbers ten times a second, and samples how late the loop is."""

    def __init__(
        self, slot: WorkerSlot, clock: LoopClock, run_queue: RunQueue, counters: RequestCounters
    ) -> None:
        self._slot = slot
        self._counters = counters
        self._clock = clock
        self._run_queue = run_queue
        self.connections: Callable[[], int] = lambda: 0
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._serving = False
        self._before: tuple[float, ...] = ()
        """The times at which the worker began to serve."""

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._write(monotonic())
        self._schedule()

    def begin_serving(self) -> None:
        """The worker has started: from now on its times count."""
        now = monotonic()
        self._before = self._times(self._run_queue.read() or 0.0)
        threads.begin(now)
        self._slot.text = ""
        self._serving = True
        self._restart(now)
        self._slot.numbers[Cell.SERVING] = 1.0

    def end_serving(self) -> None:
        """The worker has drained: its times count no more."""
        if not self._serving:
            return
        now = monotonic()
        self._write(now)
        self._serving = False
        self._slot.numbers[Cell.SERVING] = 0.0
        self._restart(now)

    def stop(self) -> None:
        self.end_serving()
        if self._timer is not None:
            self._timer.cancel()
        self._write(monotonic())

    def _restart(self, now: float) -> None:
        """Beat now, so that a beat that start-up delayed is not late."""
        if self._timer is not None:
            self._timer.cancel()
        self._write(now)
        self._schedule()

    def _schedule(self) -> None:
        self._due = monotonic() + BEAT_SECONDS
        self._timer = self._loop.call_later(BEAT_SECONDS, self._beat)

    def _beat(self) -> None:
        now = monotonic()
        if self._serving:
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
        numbers[Cell.CONNECTIONS] = self.connections()
        numbers[Cell.WEBSOCKETS] = self._counters.websockets
        numbers[Cell.STREAMS] = self._counters.streams
        waited = self._run_queue.read() or 0.0
        if self._serving:
            threads.write(numbers, now)
            times = array("d", map(sub, self._times(waited), self._before))
            numbers[Cell.LOOP_SECONDS : Cell.RUN_QUEUE_SECONDS + 1] = memoryview(times)
        numbers[Cell.RUN_QUEUE_AT_BEAT] = waited
        numbers[Cell.BEAT_AT] = now

    def _times(self, waited: float) -> tuple[float, ...]:
        """In the order of the cells from `LOOP_SECONDS` to `RUN_QUEUE_SECONDS`."""
        return *self._clock.read(), time.process_time(), time.thread_time(), waited


class Watchdog(threading.Thread):
    """Watches the heartbeat of this process's main thread.

    A thread that waits for a CPU is late too, but no code blocks it: that time does not count.
    """

    def __init__(  # noqa: PLR0913 - what it watches
        self,
        slot: WorkerSlot,
        counters: RequestCounters,
        blocked_after: float,
        parent: int,
        run_queue: RunQueue,
        *,
        own: str = "",
    ) -> None:
        super().__init__(name="aiapi-watchdog", daemon=True)
        self._own = own
        self._slot = slot
        self._run_queue = run_queue
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
            if beat == 0 or self._late(beat) < self._blocked_after:
                continue
            frame = sys._current_frames().get(self._main)  # noqa: SLF001 - the only way to see another thread's stack
            if not _is_counting(frame):
                self._counters.write()
            if beat != blocked_since:
                blocked_since = beat
                self._record(beat, code_location(frame, self._own))
            if os.getppid() != self._parent:
                # The supervisor is gone, and the blocked loop cannot react to that.
                os._exit(1)

    def _late(self, beat: float) -> float:
        late = monotonic() - beat
        if late >= self._blocked_after:
            waited = self._run_queue.read()
            late -= (waited or 0.0) - self._slot.numbers[Cell.RUN_QUEUE_AT_BEAT]
        return late

    def _record(self, beat: float, place: str) -> None:
        """While the worker starts, the place explains a start that takes too long."""
        numbers = self._slot.numbers
        self._slot.text = place
        if numbers[Cell.SERVING]:
            numbers[Cell.BLOCKED_SINCE] = beat
            numbers[Cell.BLOCKS] += 1


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
        # Python 3.10 has the bare name only.
        name = getattr(code, "co_qualname", code.co_name)
        here = f"{code.co_filename}:{frame.f_lineno} {name}"
        if not code.co_filename.startswith(_LIBRARY) or _belongs_to(frame, own):
            return here
        place = place or here
        frame = frame.f_back
    return place


def _belongs_to(frame: FrameType, package: str) -> bool:
    module = str(frame.f_globals.get("__name__"))
    return module.partition(".")[0] == package and not frame.f_code.co_filename.startswith(_RUNTIME)
