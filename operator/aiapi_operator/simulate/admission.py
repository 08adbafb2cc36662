"""Shedding: a worker that has as many requests in flight as it may refuses the next.

Whom it refuses hangs on whom it refused before, so it is found out request by request, but only
for a stretch of time in which some worker would go beyond its limit.
"""

import heapq
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from aiapi_operator.simulate.loops import Ints
from aiapi_operator.simulate.traces import Floats
from aiapi_operator.simulate.upstream import UpstreamModel

REJECTION_SECONDS = 0.0005
"""Loop seconds that it takes to refuse a request."""
_COMES, _LEAVES_LOOP, _RETURNS, _LEAVES = 3, 1, 2, 0
"""At one moment who leaves makes room for who comes."""

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionWindow:
    """What comes in a stretch of time, and what is in flight at its beginning."""

    at: Floats
    loop: Floats
    upstream: Floats
    lane: Ints
    leaving: tuple[Floats, Ints]
    """When those leave who are in flight and wait for nothing more; their lanes."""
    returning: tuple[Floats, Ints]
    """When the upstream has answered those who are in flight and wait for it; their lanes."""
    free_at: Floats
    end: float


def admits_all(stretch: AdmissionWindow, limit: int) -> bool:
    """Whether no worker comes to its limit even if nobody leaves."""
    lanes = np.concatenate((stretch.lane, stretch.leaving[1], stretch.returning[1]))
    return len(lanes) == 0 or int(np.bincount(lanes).max()) <= limit


def find_rejected(stretch: AdmissionWindow, upstream: UpstreamModel, limit: int) -> Bools:
    """Who is refused."""
    return _Play(stretch, upstream.look_ahead(), limit).play()


@dataclass(slots=True)
class _Play:
    """One stretch, event by event."""

    stretch: AdmissionWindow
    upstream: UpstreamModel
    limit: int
    _in_flight: dict[int, int] = field(default_factory=dict)
    _free_at: dict[int, float] = field(default_factory=dict)
    _events: list[tuple[float, int, int, int]] = field(default_factory=list)
    """(time, kind, lane, index of the request or -1)."""

    def play(self) -> Bools:
        stretch = self.stretch
        self._events = [
            *self._all(_LEAVES, *stretch.leaving),
            *self._all(_RETURNS, *stretch.returning),
            *(
                (at, _COMES, lane, index)
                for index, (at, lane) in enumerate(
                    zip(stretch.at.tolist(), stretch.lane.tolist(), strict=True)
                )
            ),
        ]
        heapq.heapify(self._events)
        no = np.zeros(len(stretch.at), dtype=np.bool_)
        while self._events and self._events[0][0] < stretch.end:
            time, kind, lane, index = heapq.heappop(self._events)
            if kind == _COMES:
                no[index] = self._comes(time, lane, index)
            elif kind == _LEAVES_LOOP:
                self._leaves_loop(time, lane, index)
            elif kind == _RETURNS:
                self._push(max(time, self._free(lane)), _LEAVES, lane, index)
            else:
                self._in_flight[lane] -= 1
        return no

    def _all(self, kind: int, times: Floats, lanes: Ints) -> list[tuple[float, int, int, int]]:
        events = []
        for time, lane in zip(times.tolist(), lanes.tolist(), strict=True):
            self._in_flight[lane] = self._in_flight.get(lane, 0) + 1
            events.append((time, kind, lane, -1))
        return events

    def _free(self, lane: int) -> float:
        return self._free_at.get(lane, float(self.stretch.free_at[lane]))

    def _push(self, time: float, kind: int, lane: int, index: int) -> None:
        heapq.heappush(self._events, (time, kind, lane, index))

    def _comes(self, time: float, lane: int, index: int) -> bool:
        begin = max(time, self._free(lane))
        if self._in_flight.get(lane, 0) >= self.limit:
            self._free_at[lane] = begin + REJECTION_SECONDS
            return True
        self._in_flight[lane] = self._in_flight.get(lane, 0) + 1
        done = self._free_at[lane] = begin + float(self.stretch.loop[index])
        self._push(done, _LEAVES_LOOP, lane, index)
        return False

    def _leaves_loop(self, time: float, lane: int, index: int) -> None:
        ends, _ = self.upstream.call(np.array([time]), self.stretch.upstream[index : index + 1])
        self._push(float(ends[0]), _RETURNS, lane, index)
