"""The upstream: how long a call takes, and how many it works on at once."""

import heapq

import numpy as np

from aiapi_operator.simulate.faults import OUTAGE_ANSWER, SLOWER, FaultKind, Faults
from aiapi_operator.simulate.loops import Ints
from aiapi_operator.simulate.scenario import UpstreamSpec
from aiapi_operator.simulate.traces import Floats


class UpstreamModel:
    """What all pods wait for. With a limit its calls queue, first come, first served."""

    def __init__(self, model: UpstreamSpec, faults: Faults) -> None:
        self._faults = faults
        self._free = [0.0] * model.concurrency

    @property
    def limited(self) -> bool:
        """Whether calls may wait for each other."""
        return bool(self._free)

    def look_ahead(self) -> "UpstreamModel":
        """A copy, to see what calls would do."""
        copy = UpstreamModel(UpstreamSpec(), self._faults)
        copy._free = list(self._free)
        return copy

    def call(self, at: Floats, takes: Floats) -> tuple[Floats, Ints]:
        """When calls made at ``at`` end, and which failed (1)."""
        slow = self._faults.during(FaultKind.UPSTREAM_SLOW, at)
        if slow is not None:
            takes = np.where(slow, SLOWER * takes, takes)
        down = self._faults.during(FaultKind.UPSTREAM_OUTAGE, at)
        if down is not None:
            takes = np.where(down, OUTAGE_ANSWER, takes)
        failed = np.zeros(len(at), dtype=np.int64) if down is None else down.astype(np.int64)
        if not self._free:
            return at + takes, failed
        return self._queue(at, takes, failed == 1), failed

    def _queue(
        self, at: Floats, takes: Floats, down: np.ndarray[tuple[int], np.dtype[np.bool_]]
    ) -> Floats:
        """A call that fails holds no place in the queue: nobody works on it."""
        ends = at + takes
        order = np.argsort(at, kind="stable")
        for index in order[~down[order]].tolist():
            end = max(float(at[index]), self._free[0]) + float(takes[index])
            heapq.heapreplace(self._free, end)
            ends[index] = end
        return ends
