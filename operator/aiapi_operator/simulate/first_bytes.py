"""The pods' histograms of times to the first byte, as a pod's admin port serves them.

The first byte of a stream counts when it is sent: of a stream that arrives at 10.0, begins at 10.4
and ends at 30.0, the histogram has 0.4 s from 10.4 on, and that of the latency 20 s from 30.0 on.
"""

from dataclasses import dataclass

import numpy as np

from aiapi_operator.simulate.loops import Ints
from aiapi_operator.simulate.traces import Floats


@dataclass(frozen=True, slots=True)
class FirstBytes:
    """First bytes whose time is known; one entry of each array is one request."""

    pod: Ints
    arrived: Floats
    sent_at: Floats


class FirstByteCounters:
    """The histogram of each pod. The index is the pod's slot."""

    def __init__(self, slots: int, edges: Floats) -> None:
        self._edges = edges
        self._counts = np.zeros((slots, len(edges) + 1), dtype=np.int64)
        self._seconds = np.zeros(slots)
        self._removed = np.zeros(len(edges) + 1, dtype=np.int64)
        self._new: list[FirstBytes] = []

    def grow(self, slots: int) -> None:
        """Make room for more pods."""
        more = slots - len(self._seconds)
        self._counts = np.pad(self._counts, ((0, more), (0, 0)))
        self._seconds = np.pad(self._seconds, (0, more))

    def reset(self, slot: int) -> None:
        """Reset a slot for another pod."""
        self._removed += self._counts[slot]
        self._counts[slot] = 0
        self._seconds[slot] = 0.0

    def add(self, first: FirstBytes) -> None:
        """Add first bytes that are sent now or later."""
        self._new.append(first)

    def read(self, now: float) -> tuple[Ints, Floats, Ints]:
        """[slot, bucket], the sum of each slot, and [bucket] of all pods, removed ones included."""
        if self._new:
            self._settle(now)
        return self._counts, self._seconds, self._removed + self._counts.sum(axis=0)

    def _settle(self, now: float) -> None:
        pod = np.concatenate([each.pod for each in self._new])
        arrived = np.concatenate([each.arrived for each in self._new])
        sent_at = np.concatenate([each.sent_at for each in self._new])
        later = sent_at > now
        self._new = [FirstBytes(pod[later], arrived[later], sent_at[later])] if later.any() else []
        pod, took = pod[~later], (sent_at - arrived)[~later]
        np.add.at(self._counts, (pod, self._edges.searchsorted(took)), 1)
        self._seconds += np.bincount(pod, took, len(self._seconds))
