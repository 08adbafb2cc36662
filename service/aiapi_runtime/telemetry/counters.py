"""What a worker counts, in plain Python, and when it writes that to the shared memory.

A store into shared memory costs several times a plain addition, so requests only add here. The sums
are written right away when the last write is at least `WRITE_SECONDS` ago, and otherwise as soon as
it is: a busy worker that is killed loses that much of its numbers.
"""

import asyncio
from array import array
from bisect import bisect_left
from operator import add
from threading import Lock
from time import monotonic, time

from aiapi_runtime.telemetry.idleness import IN_USE
from aiapi_runtime.telemetry.layout import BOUNDS, BUCKETS, EXEMPLAR, OUTCOMES, Cell

WRITE_SECONDS = 0.02


class RequestCounters:
    """One per worker.

    The time that requests have been open, ended or not, is `moments + open * now`, where `moments`
    is the sum of the times at which they ended minus those at which they started. That takes one
    addition for each, instead of an integral brought forward at each change.
    """

    __slots__ = (
        "_counted_at_write",
        "_exemplar_memory",
        "clean",
        "exemplars",
        "first_byte",
        "first_byte_seconds",
        "ignored_open",
        "moments",
        "numbers",
        "outcomes",
        "started",
        "streamed",
        "streamed_seconds",
        "streams",
        "unary",
        "unary_seconds",
        "upstream_lock",
        "upstream_moments",
        "upstream_open",
        "used_at",
        "websockets",
        "written_at",
    )

    def __init__(self, numbers: "memoryview[float]", exemplars: memoryview) -> None:
        self.numbers = numbers
        self._exemplar_memory = exemplars
        # By coarse bucket: trace id and seconds of the last traced request since the last write.
        self.exemplars: dict[int, tuple[bytes, float]] = {}
        # Whether no write is due.
        self.clean = True
        self.written_at = 0.0
        self._counted_at_write = (0, 0.0)
        self.started = 0
        self.moments = 0.0
        self.outcomes = [0] * len(OUTCOMES)
        # Responses in one piece have their first and last byte at the same time: counted once.
        self.unary, self.unary_seconds = [0] * BUCKETS, 0.0
        # All others: the time to the first byte (counted at that byte), and the time to the end.
        self.first_byte, self.first_byte_seconds = [0] * BUCKETS, 0.0
        self.streamed, self.streamed_seconds = [0] * BUCKETS, 0.0
        # Open now: WebSockets, and responses of which a first part was sent.
        self.websockets = 0
        self.streams = 0
        # When the last request ended that counts as use, and how many do not count but are open.
        self.used_at = 0.0
        self.ignored_open = 0
        # A call may start and end in threads, where a lost update would never be corrected.
        self.upstream_lock = Lock()
        self.upstream_open = 0
        self.upstream_moments = 0.0

    def schedule_write(self, now: float) -> None:
        """Write now or soon."""
        since = now - self.written_at
        if since >= WRITE_SECONDS:
            # Before the app continues: should it block the loop or die, this request is counted.
            self.write()
            return
        self.clean = False
        asyncio.get_running_loop().call_later(WRITE_SECONDS - since, self.write)

    def begin_stream(self, now: float, seconds: float, *, good: bool) -> None:
        """The first byte of a stream was sent. It counts now: its end may be minutes away."""
        self.streams += 1
        if good:
            self.count_first_byte(seconds)
            if self.clean:
                self.schedule_write(now)

    def count_first_byte(self, seconds: float) -> None:
        self.first_byte_seconds += seconds
        self.first_byte[bisect_left(BOUNDS, seconds)] += 1

    def count_refused(self, now: float) -> None:
        """A request that was refused before the app was called."""
        self.started += 1
        self.outcomes[Cell.SHED] += 1
        self.used_at = now
        if self.clean:
            self.schedule_write(now)

    def upstream(self, change: int) -> None:
        """A request starts (+1) or stops (-1) waiting for an upstream."""
        with self.upstream_lock:
            self.upstream_open += change
            self.upstream_moments -= change * monotonic()

    def write(self) -> None:
        self.clean = True
        self.written_at = now = monotonic()
        numbers = self.numbers
        numbers[: len(OUTCOMES)] = array("d", self.outcomes)
        ended = sum(self.outcomes)
        in_flight = self.started - ended
        # The time is written first and the count last: a reader in between gets too little and
        # corrects it later. A new count with an old time would be hours too much.
        numbers[Cell.IN_FLIGHT_AT] = now
        numbers[Cell.IN_FLIGHT_SECONDS] = self.moments + in_flight * now
        numbers[Cell.IN_FLIGHT] = in_flight
        used = in_flight + self.websockets > self.ignored_open
        numbers[Cell.USED_AT] = IN_USE if used else self.used_at
        with self.upstream_lock:
            numbers[Cell.UPSTREAM_AT] = now
            numbers[Cell.UPSTREAM_SECONDS] = self.upstream_moments + self.upstream_open * now
            numbers[Cell.UPSTREAM_OPEN] = self.upstream_open
        counted = (ended, self.first_byte_seconds)
        if counted != self._counted_at_write:
            self._counted_at_write = counted
            self._write_histograms()
        while self.exemplars:
            bucket, (trace, seconds) = self.exemplars.popitem()
            EXEMPLAR.pack_into(
                self._exemplar_memory, bucket * EXEMPLAR.size, trace, seconds, time()
            )

    def _write_histograms(self) -> None:
        """Most of the cost of a write; at low load half of all writes are for a start only."""
        numbers = self.numbers
        latency = ttfb = array("d", self.unary)
        if self.first_byte_seconds or self.streamed_seconds:
            latency = array("d", map(add, latency, self.streamed))
            ttfb = array("d", map(add, ttfb, self.first_byte))
        numbers[Cell.LATENCY : Cell.LATENCY + BUCKETS] = memoryview(latency)
        numbers[Cell.TTFB : Cell.TTFB + BUCKETS] = memoryview(ttfb)
        numbers[Cell.LATENCY_SUM] = self.unary_seconds + self.streamed_seconds
        numbers[Cell.TTFB_SUM] = self.unary_seconds + self.first_byte_seconds
