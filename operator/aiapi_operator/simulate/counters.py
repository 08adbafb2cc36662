"""The pods' counters, exact at any moment: the counters that a real pod's admin port serves.

A request is added when its end is known (a simulation can look ahead), and is counted when it
ends. Until then it adds to the seconds in flight. A request that arrives at 10.0, leaves its
loop at 10.2 and ends at 10.9 has, at 10.5, added 0.5 s in flight and 0.3 s of upstream time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from aiapi_operator.simulate.first_bytes import FirstByteCounters, FirstBytes
from aiapi_operator.simulate.loops import Ints
from aiapi_operator.simulate.traces import Floats


def _bounds() -> tuple[float, ...]:
    """The bounds of aiapi-serve: from 0.1 ms to over 60 s, each 1.2 times the one before."""
    bounds: list[float] = []
    bound = 0.0001
    while bound < 72.0:
        bounds.append(float(f"{bound:.4g}"))
        bound *= 1.2
    return tuple(bounds)


BOUNDS = _bounds()
_EDGES = np.array(BOUNDS)
_BUCKETS = len(BOUNDS) + 1
_UNSETTLED = 64
"""Batches to keep before they are merged."""


class Outcome(IntEnum):
    """How a request ended."""

    SUCCESS = 0
    SERVER_ERROR = 1
    CANCELLED = 2
    SHED = 3


_OUTCOMES = len(Outcome)
SUCCESS, CANCELLED, SHED = int(Outcome.SUCCESS), int(Outcome.CANCELLED), int(Outcome.SHED)
"""Plain integers: numpy compares with these in a quarter of the time."""


@dataclass(frozen=True, slots=True)
class RequestBatch:
    """Requests whose end is known; one column of both tables is one request."""

    times: Floats
    """Rows: arrival, loop done, end."""
    marks: Ints
    """Rows: pod, outcome."""

    @classmethod
    def of(
        cls, pod: Ints, arrived: Floats, loop_done: Floats, ended_at: Floats, outcome: Ints
    ) -> "RequestBatch":
        """A batch from its rows."""
        return cls(np.array((arrived, loop_done, ended_at)), np.array((pod, outcome)))

    @property
    def pod(self) -> Ints:
        row: Ints = self.marks[0]
        return row

    @property
    def outcome(self) -> Ints:
        row: Ints = self.marks[1]
        return row

    @property
    def ended_at(self) -> Floats:
        row: Floats = self.times[2]
        return row

    def take(self, mask: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> "RequestBatch":
        """The selected requests."""
        places = mask.nonzero()[0]
        return RequestBatch(self.times.take(places, axis=1), self.marks.take(places, axis=1))

    def pending(self) -> "PendingRequests":
        """The requests without their end."""
        return PendingRequests(self.pod, self.times[0], self.times[1])


@dataclass(frozen=True, slots=True)
class PendingRequests:
    """Requests in flight; one entry of each array is one request."""

    pod: Ints
    arrived: Floats
    loop_done: Floats


def _join(batches: Sequence[RequestBatch]) -> RequestBatch:
    return RequestBatch(
        np.concatenate([batch.times for batch in batches], axis=1),
        np.concatenate([batch.marks for batch in batches], axis=1),
    )


@dataclass(frozen=True, slots=True)
class CounterSnapshot:
    """All pods' counters at one moment; the index is the pod's slot."""

    outcomes: Ints
    """[slot, outcome]"""
    latencies: Ints
    """[slot, bucket]"""
    latency_seconds: Floats
    in_flight: Ints
    in_flight_seconds: Floats
    upstream_seconds: Floats
    all_in_flight_seconds: float
    """Of all pods, removed ones included."""
    all_latencies: Ints
    """[bucket] of all pods, removed ones included."""
    first_bytes: tuple[Ints, Floats, Ints]
    """[slot, bucket], seconds by slot, and [bucket] of all pods, for times to the first byte."""


class Counters:
    """Counters of all pods. Each pod has a slot, which is reused after the pod has gone."""

    def __init__(
        self, slots: int, *, pending: Callable[[], Sequence[PendingRequests]] = tuple
    ) -> None:
        """``pending`` returns the requests in flight whose end is not known yet."""
        self._outcomes = np.zeros((slots, len(Outcome)), dtype=np.int64)
        self._latencies = np.zeros((slots, _BUCKETS), dtype=np.int64)
        self._latency_seconds = np.zeros(slots)
        self._in_flight_seconds = np.zeros(slots)
        self._upstream_seconds = np.zeros(slots)
        self._removed_in_flight_seconds = 0.0
        self._removed_latencies = np.zeros(_BUCKETS, dtype=np.int64)
        self._new: list[RequestBatch] = []
        self._first_bytes: FirstByteCounters | None = None
        self._pending = pending

    def grow(self, slots: int) -> None:
        """Make room for more pods."""
        more = slots - len(self._latency_seconds)
        self._outcomes = np.pad(self._outcomes, ((0, more), (0, 0)))
        self._latencies = np.pad(self._latencies, ((0, more), (0, 0)))
        self._latency_seconds = np.pad(self._latency_seconds, (0, more))
        self._in_flight_seconds = np.pad(self._in_flight_seconds, (0, more))
        self._upstream_seconds = np.pad(self._upstream_seconds, (0, more))
        if self._first_bytes is not None:
            self._first_bytes.grow(slots)

    def reset(self, slot: int) -> None:
        """Reset a slot for another pod."""
        self._removed_in_flight_seconds += float(self._in_flight_seconds[slot])
        self._removed_latencies += self._latencies[slot]
        for counter in (
            self._outcomes,
            self._latencies,
            self._latency_seconds,
            self._in_flight_seconds,
            self._upstream_seconds,
        ):
            counter[slot] = 0
        if self._first_bytes is not None:
            self._first_bytes.reset(slot)

    def add(self, batch: RequestBatch, now: float, first: FirstBytes | None = None) -> None:
        """Add requests that arrived until now, and first bytes of streams."""
        self._new.append(batch)
        if first is not None:
            if self._first_bytes is None:
                self._first_bytes = FirstByteCounters(len(self._latency_seconds), _EDGES)
            self._first_bytes.add(first)
        if len(self._new) > _UNSETTLED:
            self._settle(now)

    def last_end(self, slot: int, now: float) -> float:
        """When the last request of a pod ends."""
        rest = self._settle(now)
        ended_at = rest.ended_at[rest.pod == slot] if rest else np.empty(0)
        return float(ended_at.max(initial=now))

    def read(self, now: float) -> CounterSnapshot:
        """All counters now."""
        rest = self._settle(now)
        inside = [*([] if rest is None else [rest.pending()]), *self._pending()]
        slots = len(self._latency_seconds)
        in_flight = np.zeros(slots, dtype=np.int64)
        seconds, upstream = self._in_flight_seconds, self._upstream_seconds
        if inside:
            pod = np.concatenate([each.pod for each in inside])
            arrived = np.concatenate([each.arrived for each in inside])
            loop_done = np.concatenate([each.loop_done for each in inside])
            in_flight = np.bincount(pod, minlength=slots)
            seconds = seconds + np.bincount(pod, now - arrived, slots)
            waited = np.maximum(0.0, now - loop_done)
            upstream = upstream + np.bincount(pod, waited, slots)
        all_latencies = self._removed_latencies + self._latencies.sum(axis=0)
        first_bytes = (self._latencies, self._latency_seconds, all_latencies)
        if self._first_bytes is not None:
            first_bytes = self._first_bytes.read(now)
        return CounterSnapshot(
            outcomes=self._outcomes,
            latencies=self._latencies,
            latency_seconds=self._latency_seconds,
            in_flight=in_flight,
            in_flight_seconds=seconds,
            upstream_seconds=upstream,
            all_in_flight_seconds=self._removed_in_flight_seconds + float(seconds.sum()),
            all_latencies=all_latencies,
            first_bytes=first_bytes,
        )

    def _settle(self, now: float) -> RequestBatch | None:
        """Count the requests that have ended; keep and return the others."""
        if not self._new:
            return None
        pending = self._new[0] if len(self._new) == 1 else _join(self._new)
        ended = pending.ended_at <= now
        if ended.any():
            self._count(pending.take(ended))
            pending = pending.take(~ended)
        self._new = [pending]
        return pending

    def _count(self, ended: RequestBatch) -> None:
        slots = len(self._latency_seconds)
        arrived, loop_done, ended_at = ended.times
        pod, outcome = ended.marks
        kinds = np.bincount(pod * _OUTCOMES + outcome, minlength=self._outcomes.size)
        self._outcomes += kinds.reshape(self._outcomes.shape)
        took = ended_at - arrived
        self._in_flight_seconds += np.bincount(pod, took, slots)
        waited = np.maximum(0.0, ended_at - loop_done)
        self._upstream_seconds += np.bincount(pod, waited, slots)
        answered = outcome == SUCCESS
        if not answered.all():
            pod, took = pod[answered], took[answered]
        np.add.at(self._latencies.reshape(-1), pod * _BUCKETS + _EDGES.searchsorted(took), 1)
        self._latency_seconds += np.bincount(pod, took, slots)
