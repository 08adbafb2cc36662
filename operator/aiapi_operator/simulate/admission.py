"""Load shedding: a worker at its in-flight limit rejects the next request.

Whether a request is rejected depends on earlier rejections, so this is computed request by
request, but only for windows in which some worker would exceed its limit.
"""

import heapq
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from aiapi_operator.simulate.loops import Ints
from aiapi_operator.simulate.traces import Floats
from aiapi_operator.simulate.upstream import UpstreamModel

REJECTION_SECONDS = 0.0005
"""Loop time of a rejection."""
_ARRIVAL, _LOOP_DONE, _UPSTREAM_DONE, _DEPARTURE = 3, 1, 2, 0
"""In order of processing at the same moment: a departure makes room for an arrival."""

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionWindow:
    """Arrivals in a window of time, and the requests in flight at its start."""

    at: Floats
    loop: Floats
    upstream: Floats
    loop_id: Ints
    departures: tuple[Floats, Ints]
    """In-flight requests whose end is known: when they end, and their loops."""
    awaiting_upstream: tuple[Floats, Ints]
    """In-flight requests that wait for the upstream: when it has answered, and their loops."""
    free_at: Floats
    end: float
    stream: Floats | None = None
    """Time from the first byte to the end."""


def admits_all(window: AdmissionWindow, limit: int) -> bool:
    """Whether no worker reaches its limit even if no request ends."""
    loop_ids = np.concatenate((window.loop_id, window.departures[1], window.awaiting_upstream[1]))
    return len(loop_ids) == 0 or int(np.bincount(loop_ids).max()) <= limit


def find_rejected(window: AdmissionWindow, upstream: UpstreamModel, limit: int) -> Bools:
    """Which arrivals are rejected."""
    return _EventLoop(window, upstream.copy(), limit).run()


@dataclass(slots=True)
class _EventLoop:
    """One window, simulated event by event."""

    window: AdmissionWindow
    upstream: UpstreamModel
    limit: int
    _in_flight: dict[int, int] = field(default_factory=dict)
    _free_at: dict[int, float] = field(default_factory=dict)
    _events: list[tuple[float, int, int, int]] = field(default_factory=list)
    """(time, kind, loop, index of the request or -1)."""

    def run(self) -> Bools:
        window = self.window
        self._events = [
            *self._admitted(_DEPARTURE, *window.departures),
            *self._admitted(_UPSTREAM_DONE, *window.awaiting_upstream),
            *(
                (at, _ARRIVAL, loop_id, index)
                for index, (at, loop_id) in enumerate(
                    zip(window.at.tolist(), window.loop_id.tolist(), strict=True)
                )
            ),
        ]
        heapq.heapify(self._events)
        rejected = np.zeros(len(window.at), dtype=np.bool_)
        while self._events and self._events[0][0] < window.end:
            time, kind, loop_id, index = heapq.heappop(self._events)
            if kind == _ARRIVAL:
                rejected[index] = self._rejects(time, loop_id, index)
            elif kind == _LOOP_DONE:
                self._call_upstream(time, loop_id, index)
            elif kind == _UPSTREAM_DONE:
                first = max(time, self._free(loop_id))
                self._push(first + self._streams(index), _DEPARTURE, loop_id, index)
            else:
                self._in_flight[loop_id] -= 1
        return rejected

    def _admitted(
        self, kind: int, times: Floats, loop_ids: Ints
    ) -> list[tuple[float, int, int, int]]:
        events = []
        for time, loop_id in zip(times.tolist(), loop_ids.tolist(), strict=True):
            self._in_flight[loop_id] = self._in_flight.get(loop_id, 0) + 1
            events.append((time, kind, loop_id, -1))
        return events

    def _free(self, loop_id: int) -> float:
        return self._free_at.get(loop_id, float(self.window.free_at[loop_id]))

    def _streams(self, index: int) -> float:
        """Time from the first byte to the end. For requests already in flight it is included."""
        stream = self.window.stream
        return 0.0 if stream is None or index < 0 else float(stream[index])

    def _push(self, time: float, kind: int, loop_id: int, index: int) -> None:
        heapq.heappush(self._events, (time, kind, loop_id, index))

    def _rejects(self, time: float, loop_id: int, index: int) -> bool:
        begin = max(time, self._free(loop_id))
        if self._in_flight.get(loop_id, 0) >= self.limit:
            self._free_at[loop_id] = begin + REJECTION_SECONDS
            return True
        self._in_flight[loop_id] = self._in_flight.get(loop_id, 0) + 1
        done = self._free_at[loop_id] = begin + float(self.window.loop[index])
        self._push(done, _LOOP_DONE, loop_id, index)
        return False

    def _call_upstream(self, time: float, loop_id: int, index: int) -> None:
        ends, _ = self.upstream.call(np.array([time]), self.window.upstream[index : index + 1])
        self._push(float(ends[0]), _UPSTREAM_DONE, loop_id, index)
