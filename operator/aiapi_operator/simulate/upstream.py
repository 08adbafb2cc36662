"""The upstream: how long a call takes, and how many calls it processes concurrently."""

import heapq

import numpy as np

from aiapi_operator.simulate.faults import OUTAGE_LATENCY, SLOW_FACTOR, FaultKind, Faults
from aiapi_operator.simulate.loops import Ints
from aiapi_operator.simulate.scenario import UpstreamModelSpec
from aiapi_operator.simulate.traces import Floats


class UpstreamModel:
    """The upstream that all pods share. With a concurrency limit, calls queue in FIFO order."""

    def __init__(self, model: UpstreamModelSpec, faults: Faults) -> None:
        self._faults = faults
        self._free_at = [0.0] * model.concurrency

    @property
    def limited(self) -> bool:
        """Whether calls may wait for each other."""
        return bool(self._free_at)

    def copy(self) -> "UpstreamModel":
        """A copy, to try calls without changing this model."""
        copy = UpstreamModel(UpstreamModelSpec(), self._faults)
        copy._free_at = list(self._free_at)
        return copy

    def call(self, at: Floats, takes: Floats) -> tuple[Floats, Ints]:
        """When calls made at ``at`` end, and which of them failed (1)."""
        slow = self._faults.during(FaultKind.UPSTREAM_SLOW, at)
        if slow is not None:
            takes = np.where(slow, SLOW_FACTOR * takes, takes)
        down = self._faults.during(FaultKind.UPSTREAM_OUTAGE, at)
        if down is not None:
            takes = np.where(down, OUTAGE_LATENCY, takes)
        failed = np.zeros(len(at), dtype=np.int64) if down is None else down.astype(np.int64)
        if not self._free_at:
            return at + takes, failed
        return self._queue(at, takes, failed == 1), failed

    def _queue(
        self, at: Floats, takes: Floats, down: np.ndarray[tuple[int], np.dtype[np.bool_]]
    ) -> Floats:
        """A failed call takes no slot of the queue: the upstream does no work for it."""
        ends = at + takes
        order = np.argsort(at, kind="stable")
        for index in order[~down[order]].tolist():
            end = max(float(at[index]), self._free_at[0]) + float(takes[index])
            heapq.heapreplace(self._free_at, end)
            ends[index] = end
        return ends
