"""What the pods count, exact at any moment: the counters that a real pod's admin port has.

A request is put in when its fate is known (a simulation knows the future), and is counted
when it leaves. Until then it adds to the seconds in flight. A request that came at 10.0, left
its loop at 10.2 and leaves at 10.9 has, at 10.5, added 0.5 s in flight and 0.3 s of upstream.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from aiapi_operator.simulate.loops import Ints
from aiapi_operator.simulate.traces import Floats


def _bounds() -> tuple[float, ...]:
    """The bounds that aiapi-serve has: 1.2 apart from 0.1 ms to over 60 s."""
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
"""Batches to keep before they are put together."""


class Outcome(IntEnum):
    """How a request ended."""

    SUCCESS = 0
    SERVER_ERROR = 1
    CANCELLED = 2
    SHED = 3


_OUTCOMES = len(Outcome)
SUCCESS, CANCELLED, SHED = int(Outcome.SUCCESS), int(Outcome.CANCELLED), int(Outcome.SHED)
"""Plain numbers: numpy compares with these in a quarter of the time."""


@dataclass(frozen=True, slots=True)
class RequestBatch:
    """Requests on their way; one column of both tables is one request."""

    times: Floats
    """Rows: came, left the loop, leaves."""
    marks: Ints
    """Rows: pod, outcome."""

    @classmethod
    def of(
        cls, pod: Ints, came: Floats, left_loop: Floats, leaves: Floats, outcome: Ints
    ) -> "RequestBatch":
        """A batch of single rows."""
        return cls(np.array((came, left_loop, leaves)), np.array((pod, outcome)))

    @property
    def pod(self) -> Ints:
        row: Ints = self.marks[0]
        return row

    @property
    def outcome(self) -> Ints:
        row: Ints = self.marks[1]
        return row

    @property
    def leaves(self) -> Floats:
        row: Floats = self.times[2]
        return row

    def those(self, mask: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> "RequestBatch":
        """A part of them."""
        places = mask.nonzero()[0]
        return RequestBatch(self.times.take(places, axis=1), self.marks.take(places, axis=1))

    def waiting(self) -> "PendingRequests":
        """What is known of them before they leave."""
        return PendingRequests(self.pod, self.times[0], self.times[1])


@dataclass(frozen=True, slots=True)
class PendingRequests:
    """Requests in flight; one entry of each array is one request."""

    pod: Ints
    came: Floats
    left_loop: Floats


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
    """Of all pods that ever were."""
    all_latencies: Ints
    """[bucket] of all pods that ever were."""


class Counters:
    """Counters of all pods. A pod has a slot, which may be used again when it has left."""

    def __init__(
        self, slots: int, *, returning: Callable[[], Sequence[PendingRequests]] = tuple
    ) -> None:
        """``returning`` says who is in flight of whom nobody knows yet until when."""
        self._outcomes = np.zeros((slots, len(Outcome)), dtype=np.int64)
        self._latencies = np.zeros((slots, _BUCKETS), dtype=np.int64)
        self._latency_seconds = np.zeros(slots)
        self._in_flight_seconds = np.zeros(slots)
        self._upstream_seconds = np.zeros(slots)
        self._gone_in_flight_seconds = 0.0
        self._gone_latencies = np.zeros(_BUCKETS, dtype=np.int64)
        self._new: list[RequestBatch] = []
        self._returning = returning

    def grow(self, slots: int) -> None:
        """Make room for more pods."""
        more = slots - len(self._latency_seconds)
        self._outcomes = np.pad(self._outcomes, ((0, more), (0, 0)))
        self._latencies = np.pad(self._latencies, ((0, more), (0, 0)))
        self._latency_seconds = np.pad(self._latency_seconds, (0, more))
        self._in_flight_seconds = np.pad(self._in_flight_seconds, (0, more))
        self._upstream_seconds = np.pad(self._upstream_seconds, (0, more))

    def reset(self, slot: int) -> None:
        """Begin anew with another pod."""
        self._gone_in_flight_seconds += float(self._in_flight_seconds[slot])
        self._gone_latencies += self._latencies[slot]
        for counter in (
            self._outcomes,
            self._latencies,
            self._latency_seconds,
            self._in_flight_seconds,
            self._upstream_seconds,
        ):
            counter[slot] = 0

    def add(self, batch: RequestBatch, now: float) -> None:
        """Put requests in that came until now."""
        self._new.append(batch)
        if len(self._new) > _UNSETTLED:
            self._settle(now)

    def last_leaves(self, slot: int, now: float) -> float:
        """When the last request of a pod leaves."""
        rest = self._settle(now)
        leaves = rest.leaves[rest.pod == slot] if rest else np.empty(0)
        return float(leaves.max(initial=now))

    def read(self, now: float) -> CounterSnapshot:
        """All counters now."""
        rest = self._settle(now)
        inside = [*([] if rest is None else [rest.waiting()]), *self._returning()]
        slots = len(self._latency_seconds)
        in_flight = np.zeros(slots, dtype=np.int64)
        seconds, upstream = self._in_flight_seconds, self._upstream_seconds
        if inside:
            pod = np.concatenate([each.pod for each in inside])
            came = np.concatenate([each.came for each in inside])
            left_loop = np.concatenate([each.left_loop for each in inside])
            in_flight = np.bincount(pod, minlength=slots)
            seconds = seconds + np.bincount(pod, now - came, slots)
            waited = np.maximum(0.0, now - left_loop)
            upstream = upstream + np.bincount(pod, waited, slots)
        return CounterSnapshot(
            outcomes=self._outcomes,
            latencies=self._latencies,
            latency_seconds=self._latency_seconds,
            in_flight=in_flight,
            in_flight_seconds=seconds,
            upstream_seconds=upstream,
            all_in_flight_seconds=self._gone_in_flight_seconds + float(seconds.sum()),
            all_latencies=self._gone_latencies + self._latencies.sum(axis=0),
        )

    def _settle(self, now: float) -> RequestBatch | None:
        """Count those that have left; the others are returned and kept."""
        if not self._new:
            return None
        pending = self._new[0] if len(self._new) == 1 else _join(self._new)
        left = pending.leaves <= now
        if left.any():
            self._count(pending.those(left))
            pending = pending.those(~left)
        self._new = [pending]
        return pending

    def _count(self, gone: RequestBatch) -> None:
        slots = len(self._latency_seconds)
        came, left_loop, leaves = gone.times
        pod, outcome = gone.marks
        kinds = np.bincount(pod * _OUTCOMES + outcome, minlength=self._outcomes.size)
        self._outcomes += kinds.reshape(self._outcomes.shape)
        took = leaves - came
        self._in_flight_seconds += np.bincount(pod, took, slots)
        waited = np.maximum(0.0, leaves - left_loop)
        self._upstream_seconds += np.bincount(pod, waited, slots)
        answered = outcome == SUCCESS
        if not answered.all():
            pod, took = pod[answered], took[answered]
        np.add.at(self._latencies.reshape(-1), pod * _BUCKETS + _EDGES.searchsorted(took), 1)
        self._latency_seconds += np.bincount(pod, took, slots)
