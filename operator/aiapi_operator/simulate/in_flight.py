"""What a request goes through: a place in a worker, its loop, the upstream, the loop again.

Its loop time is spent on the first visit. When the upstream has answered it waits for the loop
once more, since what is left to do (read the answer, send it on) comes after all that the loop
has to do by then. At rho = 0.66 a request of the example app waited 29 ms before and 32 ms
after its upstream, where one visit alone is 27 ms by the textbook (M/D/1).

A caller leaves at its deadline. The service does not know and does the work all the same: of
300 requests sent at once to a Uvicorn worker with 20 ms each and a deadline of 1 s, 34 were
answered, and all 300 handlers ran.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aiapi_operator.api.duration import parse_duration
from aiapi_operator.simulate import admission, loops
from aiapi_operator.simulate.admission import REJECTION_SECONDS, AdmissionWindow, Bools
from aiapi_operator.simulate.counters import CANCELLED, SHED, PendingRequests, RequestBatch
from aiapi_operator.simulate.loops import Ints
from aiapi_operator.simulate.requests import Requests, Workload, join
from aiapi_operator.simulate.traces import Floats
from aiapi_operator.simulate.upstream import UpstreamModel

_PORTION = 4.0


@dataclass(frozen=True, slots=True)
class ServedRequests:
    """What became of some requests, as their callers see it."""

    requests: Requests
    leaves: Floats
    """When the caller had an answer, or gave up."""
    outcome: Ints

    def take(self, which: Bools) -> "ServedRequests":
        """A part of them."""
        return ServedRequests(self.requests.take(which), self.leaves[which], self.outcome[which])


def _both(one: ServedRequests, other: ServedRequests) -> ServedRequests:
    if not len(one.leaves):
        return other
    return ServedRequests(
        join((one.requests, other.requests)),
        np.concatenate((one.leaves, other.leaves)),
        np.concatenate((one.outcome, other.outcome)),
    )


@dataclass(frozen=True, slots=True)
class _Trip:
    """Requests on their way; one column of both tables is one request.

    Two tables, for to take a part of a table costs as much as to take a part of one row.
    """

    times: Floats
    """Rows: came, loop and upstream seconds, tried first; left the loop, back from upstream."""
    marks: Ints
    """Rows: connection, tries before; slot, lane, outcome, whether its caller has left."""

    @classmethod
    def of(cls, requests: Requests, *, slot: Ints, lane: Ints, left_loop: Floats) -> "_Trip":
        """Requests that have left their loop; nothing else is known of them."""
        times, marks = np.empty((6, len(slot))), np.empty((6, len(slot)), dtype=np.int64)
        times[0], times[1], times[2] = requests.at, requests.loop, requests.upstream
        times[3], times[4] = requests.born, left_loop
        marks[0], marks[1] = requests.connection, requests.tries
        marks[2], marks[3] = slot, lane
        return cls(times, marks)

    @property
    def requests(self) -> Requests:
        at, loop, upstream, born = self.times[:4]
        return Requests(at, loop, upstream, self.marks[0], born, self.marks[1])

    @property
    def at(self) -> Floats:
        row: Floats = self.times[0]
        return row

    @property
    def slot(self) -> Ints:
        row: Ints = self.marks[2]
        return row

    @property
    def lane(self) -> Ints:
        row: Ints = self.marks[3]
        return row

    @property
    def back(self) -> Floats:
        """When the upstream has answered."""
        row: Floats = self.times[5]
        return row

    @property
    def outcome(self) -> Ints:
        row: Ints = self.marks[4]
        return row

    @property
    def told(self) -> Bools:
        """Whose caller has left."""
        row: Bools = self.marks[5] == 1
        return row

    def take(self, which: Bools) -> "_Trip":
        places = which.nonzero()[0]
        return _Trip(self.times.take(places, axis=1), self.marks.take(places, axis=1))

    def ended(self, outcome: Ints) -> "_Trip":
        """The same with another outcome."""
        marks = self.marks.copy()
        marks[4] = outcome
        return _Trip(self.times, marks)

    def waiting(self) -> PendingRequests:
        return PendingRequests(self.slot, self.at, self.times[4])

    def batch(self, leaves: Floats) -> RequestBatch:
        return RequestBatch.of(self.slot, self.at, self.times[4], leaves, self.outcome)


def _join(trips: Sequence[_Trip]) -> _Trip:
    if len(trips) == 1:
        return trips[0]
    return _Trip(
        np.concatenate([trip.times for trip in trips], axis=1),
        np.concatenate([trip.marks for trip in trips], axis=1),
    )


@dataclass(frozen=True, slots=True)
class ServeResult:
    """What happened in a stretch of time."""

    served: ServedRequests
    """Callers that know what became of their request."""
    batch: RequestBatch
    """Requests that are over for the pods, or whose end is known."""
    cost: Floats
    """Loop seconds of those that came, in their order."""
    done: Floats
    """When they are done with their loop."""


class InFlightRequests:
    """All requests that are on their way, and the loops and the upstream that they meet."""

    def __init__(self, load: Workload, lanes: int) -> None:
        service = load.service
        self.free_at = np.zeros(lanes)
        """The moment from which each loop is free."""
        self._upstream = UpstreamModel(service.upstream, load.faults)
        self._deadline = parse_duration(service.clients.deadline)
        self._limit = service.pods.in_flight
        self._under_way: dict[int, list[_Trip]] = {}
        """By the time at which they are back, in portions of ``_PORTION`` seconds."""
        self._leaving: tuple[Floats, Ints] = (np.empty(0), np.empty(0, dtype=np.int64))

    def returning(self) -> Sequence[PendingRequests]:
        """Requests of which nobody knows yet when they will leave."""
        return [trip.waiting() for portion in self._under_way.values() for trip in portion]

    def last_back(self, slot: int) -> float:
        """When the last of a pod's requests will have been answered by the upstream."""
        trip = self._all()
        return 0.0 if trip is None else float(trip.back[trip.slot == slot].max(initial=0.0))

    def serve(self, requests: Requests, slot: Ints, lane: Ints, *, end: float) -> ServeResult:
        """All that comes until ``end``, and all that is back from the upstream by then."""
        no = self._refused(requests, lane, end)
        cost = requests.loop if no is None else np.where(no, REJECTION_SECONDS, requests.loop)
        before = self.free_at
        work = loops.serve(requests.at, cost, lane, before)
        self.free_at = work.free_at(before)
        done = work.by_request()
        trip = self._leave_loop(requests, slot, lane, done, no)
        heard, batch = self._return(trip, work, before, end)
        if trip.told.any():
            heard = _both(self._give_up(trip), heard)
        return ServeResult(heard, batch, cost, done)

    def _give_up(self, trip: _Trip) -> ServedRequests:
        """Callers of those that came who will not wait for the upstream's answer."""
        gone = trip.take(trip.told)
        return ServedRequests(gone.requests, gone.at + self._deadline, gone.outcome)

    def finish(self) -> ServedRequests | None:
        """The run is over: those on their way meet no one any more."""
        trip = self._all()
        if trip is None:
            return None
        trip = trip.take(~trip.told)
        ends = np.maximum(trip.back, self.free_at[trip.lane])
        return self._tell(trip, ends)

    def _refused(self, requests: Requests, lane: Ints, end: float) -> Bools | None:
        if self._limit == 0:
            return None
        trip, none = self._all(), (np.empty(0), np.empty(0, dtype=np.int64))
        stretch = AdmissionWindow(
            at=requests.at,
            loop=requests.loop,
            upstream=requests.upstream,
            lane=lane,
            leaving=self._leaving,
            returning=none if trip is None else (trip.back, trip.lane),
            free_at=self.free_at,
            end=end,
        )
        if admission.admits_all(stretch, self._limit):
            return None
        return admission.find_rejected(stretch, self._upstream, self._limit)

    def _leave_loop(
        self, requests: Requests, slot: Ints, lane: Ints, done: Floats, no: Bools | None
    ) -> _Trip:
        if no is None:
            back, failed = self._upstream.call(done, requests.upstream)
        else:
            back, failed = done.copy(), np.zeros(len(done), dtype=np.int64)
            yes = ~no
            back[yes], failed[yes] = self._upstream.call(done[yes], requests.upstream[yes])
            failed[no] = SHED
        late = back > requests.at + self._deadline
        trip = _Trip.of(requests, slot=slot, lane=lane, left_loop=done)
        trip.times[5], trip.marks[4], trip.marks[5] = back, np.where(late, CANCELLED, failed), late
        return trip

    def _return(
        self, new: _Trip, work: loops.LoopSchedule, before: Floats, end: float
    ) -> tuple[ServedRequests, RequestBatch]:
        trip = self._due(new, end)
        # Whoever is refused has its answer at once.
        waits = work.waits(trip.back, trip.lane, before)
        ends = trip.back + np.where(trip.outcome == SHED, 0.0, waits)
        late = ends > trip.at + self._deadline
        if late.any():
            trip = trip.ended(np.where(late, CANCELLED, trip.outcome))
        self._remember(trip, ends, end)
        waiting = ~trip.told
        if waiting.all():
            heard = self._tell(trip, ends)
        else:
            heard = self._tell(trip.take(waiting), ends[waiting])
        return heard, trip.batch(ends)

    def _all(self) -> _Trip | None:
        """Everyone who is under way."""
        trips = [trip for portion in self._under_way.values() for trip in portion]
        return _join(trips) if trips else None

    def _due(self, new: _Trip, end: float) -> _Trip:
        """Who is back before ``end``. A queue of minutes is not looked through each time."""
        last = int(end // _PORTION)
        portions = [key for key in self._under_way if key <= last]
        trip = _join([*(each for key in portions for each in self._under_way.pop(key)), new])
        due = trip.back < end
        if due.all():
            return trip
        later = trip.take(~due)
        keys = (later.back // _PORTION).astype(np.int64)
        for key in sorted(set(keys.tolist())):
            self._under_way.setdefault(key, []).append(later.take(keys == key))
        return trip.take(due)

    def _tell(self, trip: _Trip, ends: Floats) -> ServedRequests:
        limit = trip.at + self._deadline
        outcome = np.where(ends > limit, CANCELLED, trip.outcome)
        return ServedRequests(trip.requests, np.minimum(ends, limit), outcome)

    def _remember(self, trip: _Trip, ends: Floats, end: float) -> None:
        """Who is still there at ``end``, for those who count what is in flight."""
        if self._limit == 0:
            return
        leaves = np.concatenate((self._leaving[0], ends))
        lanes = np.concatenate((self._leaving[1], trip.lane))
        stays = leaves >= end
        self._leaving = (leaves[stays], lanes[stays])
