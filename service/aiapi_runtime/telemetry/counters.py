"""What a worker counts, in plain Python, and when it writes it where the supervisor reads.

A store into shared memory costs several times a plain addition, so requests only add here. The
sums go out at once where the last writing is `WRITE_SECONDS` ago, and else when it will be: that
much of a busy worker's numbers is lost when it is killed.
"""

import asyncio
from array import array
from operator import add
from threading import Lock
from time import monotonic, time

from aiapi_runtime.telemetry.layout import BUCKETS, EXEMPLAR, OUTCOMES, Cell

WRITE_SECONDS = 0.02


class RequestCounters:
    """One a worker.

    The time that requests have been open, finished or not, is `moments + open * now`, where
    `moments` is the sum of the instants they ended at less those they began at: one addition for
    each, instead of an integral brought forward at each change.
    """

    __slots__ = (
        "_exemplar_memory",
        "_shown",
        "began",
        "begun",
        "clean",
        "ended",
        "exemplars",
        "first_seconds",
        "last_seconds",
        "moments",
        "numbers",
        "outcomes",
        "seconds",
        "upstream_lock",
        "upstream_moments",
        "upstream_open",
        "whole",
        "written",
    )

    def __init__(self, numbers: "memoryview[float]", exemplars: memoryview) -> None:
        self.numbers = numbers
        self._exemplar_memory = exemplars
        # By coarse bucket: trace id and seconds of the last traced request since the last writing.
        self.exemplars: dict[int, tuple[bytes, float]] = {}
        self.clean = True
        self.written = 0.0
        # Requests that had ended by the last writing.
        self._shown = 0
        self.begun = 0
        self.moments = 0.0
        self.outcomes = [0] * len(OUTCOMES)
        # Answers in one piece have their first byte when they have their last: counted once.
        self.whole, self.seconds = [0] * BUCKETS, 0.0
        self.began, self.first_seconds = [0] * BUCKETS, 0.0
        self.ended, self.last_seconds = [0] * BUCKETS, 0.0
        # A call may begin and end in threads; what is lost there would never be made good.
        self.upstream_lock = Lock()
        self.upstream_open = 0
        self.upstream_moments = 0.0

    def touch(self, now: float) -> None:
        """Have this change written, now or soon."""
        since = now - self.written
        if since >= WRITE_SECONDS:
            # Before the app goes on: should it hold the loop or die, this request is seen.
            self.write()
            return
        self.clean = False
        asyncio.get_running_loop().call_later(WRITE_SECONDS - since, self.write)

    def refused(self, now: float) -> None:
        """One that was answered before any app saw it."""
        self.begun += 1
        self.outcomes[Cell.SHED] += 1
        if self.clean:
            self.touch(now)

    def upstream(self, change: int) -> None:
        """A request begins (+1) or stops (-1) waiting for something outside."""
        with self.upstream_lock:
            self.upstream_open += change
            self.upstream_moments -= change * monotonic()

    def write(self) -> None:
        self.clean = True
        self.written = now = monotonic()
        numbers = self.numbers
        numbers[: len(OUTCOMES)] = array("d", self.outcomes)
        ended = sum(self.outcomes)
        in_flight = self.begun - ended
        # The time goes first and the count last: who reads in between, cells in their order, gets
        # too little and corrects it later. A new count with an old time would be hours too much.
        numbers[Cell.IN_FLIGHT_AT] = now
        numbers[Cell.IN_FLIGHT_SECONDS] = self.moments + in_flight * now
        numbers[Cell.IN_FLIGHT] = in_flight
        with self.upstream_lock:
            numbers[Cell.UPSTREAM_AT] = now
            numbers[Cell.UPSTREAM_SECONDS] = self.upstream_moments + self.upstream_open * now
            numbers[Cell.UPSTREAM_OPEN] = self.upstream_open
        if ended != self._shown:
            self._shown = ended
            self._write_histograms()
        while self.exemplars:
            bucket, (trace, seconds) = self.exemplars.popitem()
            EXEMPLAR.pack_into(
                self._exemplar_memory, bucket * EXEMPLAR.size, trace, seconds, time()
            )

    def _write_histograms(self) -> None:
        """Most of a writing's cost, and at low load half of all writings are of a beginning."""
        numbers = self.numbers
        latency = ttfb = array("d", self.whole)
        if self.last_seconds:
            latency = array("d", map(add, latency, self.ended))
            ttfb = array("d", map(add, ttfb, self.began))
        numbers[Cell.LATENCY : Cell.LATENCY + BUCKETS] = memoryview(latency)
        numbers[Cell.TTFB : Cell.TTFB + BUCKETS] = memoryview(ttfb)
        numbers[Cell.LATENCY_SUM] = self.seconds + self.last_seconds
        numbers[Cell.TTFB_SUM] = self.seconds + self.first_seconds
