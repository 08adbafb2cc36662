"""Requests in flight: admission by a worker, its loop, the upstream, the loop again.

A request spends its loop time on the first visit. When the upstream has answered, the request
waits for the loop once more, because the remaining work (reading and sending the response) runs
after everything already queued on the loop. At rho = 0.66 a request of the example app waited
29 ms before and 32 ms after its upstream, where one visit alone is 27 ms in theory (M/D/1).

A client leaves at its deadline. The service does not notice and does the work anyway: of 300
requests sent at the same moment to a Uvicorn worker with 20 ms each and a deadline of 1 s, 34
were answered, and all 300 handlers ran.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aiapi_operator.api.duration import parse_duration
from aiapi_operator.simulate import admission, loops
from aiapi_operator.simulate.admission import REJECTION_SECONDS, AdmissionWindow, Bools
from aiapi_operator.simulate.calls import CalledRequests, join
from aiapi_operator.simulate.counters import CANCELLED, SHED, PendingRequests, RequestBatch
from aiapi_operator.simulate.first_bytes import FirstBytes
from aiapi_operator.simulate.loops import Ints
from aiapi_operator.simulate.requests import Requests, Workload, concatenate
from aiapi_operator.simulate.traces import Floats
from aiapi_operator.simulate.upstream import UpstreamModel

_BUCKET_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class ServedRequests:
    """Requests that ended, as their clients see them."""

    requests: Requests
    ended_at: Floats
    """When the client got an answer, or gave up."""
    outcome: Ints
    first_byte_at: Floats | None = None
    """When the client got the first byte, or gave up; None if that was the end."""

    @property
    def began_at(self) -> Floats:
        """When the client got the first byte, or gave up."""
        return self.ended_at if self.first_byte_at is None else self.first_byte_at

    def take(self, which: Bools) -> "ServedRequests":
        """The selected requests."""
        first = None if self.first_byte_at is None else self.first_byte_at[which]
        return ServedRequests(
            self.requests.take(which), self.ended_at[which], self.outcome[which], first
        )


def _both(one: ServedRequests, other: ServedRequests) -> ServedRequests:
    if not len(one.ended_at):
        return other
    return ServedRequests(
        concatenate((one.requests, other.requests)),
        np.concatenate((one.ended_at, other.ended_at)),
        np.concatenate((one.outcome, other.outcome)),
        np.concatenate((one.began_at, other.began_at)),
    )


@dataclass(frozen=True, slots=True)
class ServeResult:
    """What happened in a step of time."""

    served: ServedRequests
    """Requests that ended for their clients."""
    batch: RequestBatch
    """Requests that ended for the pods, or whose end is known."""
    cost: Floats
    """Loop time of each arrival, in seconds."""
    done: Floats
    """When each arrival is done with its loop."""
    first_bytes: FirstBytes | None
    """First bytes of streams; None if the service does not stream."""


class InFlightRequests:
    """All requests in flight, with the loops and the upstream that serve them."""

    def __init__(self, load: Workload, *, slots: int, loops_per_slot: int) -> None:
        service = load.service
        self.free_at = np.zeros(slots * loops_per_slot)
        """The moment from which each loop is free."""
        self.since = np.zeros(slots)
        """When the pod of each slot became ready. Requests that waited for it arrived before."""
        self._upstream = UpstreamModel(service.upstream, load.faults)
        self._deadline = parse_duration(service.clients.deadline)
        self._limit = service.pods.in_flight
        self._calls: dict[int, list[CalledRequests]] = {}
        """By the time at which the upstream answers, in buckets of ``_BUCKET_SECONDS``."""
        self._departures: tuple[Floats, Ints] = (np.empty(0), np.empty(0, dtype=np.int64))

    def pending(self) -> Sequence[PendingRequests]:
        """Requests whose end is not known yet."""
        return [calls.pending(self.since) for bucket in self._calls.values() for calls in bucket]

    def last_upstream_answer(self, slot: int) -> float:
        """When the upstream will have answered all of a pod's requests."""
        calls = self._all()
        if calls is None:
            return 0.0
        ends = calls.upstream_done + calls.streaming
        return float(ends[calls.slot == slot].max(initial=0.0))

    def serve(self, requests: Requests, slot: Ints, loop_id: Ints, *, end: float) -> ServeResult:
        """Serve all arrivals until ``end``, and all upstream answers until then."""
        rejected = self._rejected(requests, loop_id, end)
        cost = requests.loop
        if rejected is not None:
            cost = np.where(rejected, REJECTION_SECONDS, requests.loop)
        before = self.free_at
        schedule = loops.serve(requests.at, cost, loop_id, before)
        self.free_at = schedule.free_at(before)
        done = schedule.completion_times()
        calls = self._call_upstream(requests, slot, loop_id, done, rejected)
        answered, batch, first_bytes = self._answer(calls, schedule, before, end)
        if calls.abandoned.any():
            answered = _both(self._abandon(calls), answered)
        return ServeResult(answered, batch, cost, done, first_bytes)

    def finish(self) -> ServedRequests | None:
        """The run is over: requests in flight meet no further arrivals."""
        calls = self._all()
        if calls is None:
            return None
        calls = calls.take(~calls.abandoned)
        return self._for_clients(
            calls, np.maximum(calls.upstream_done, self.free_at[calls.loop_id])
        )

    def _abandon(self, calls: CalledRequests) -> ServedRequests:
        """New requests whose clients will not wait for the upstream's answer."""
        gone = calls.take(calls.abandoned)
        return ServedRequests(gone.requests, gone.at + self._deadline, gone.outcome)

    def _rejected(self, requests: Requests, loop_id: Ints, end: float) -> Bools | None:
        if self._limit == 0:
            return None
        calls, none = self._all(), (np.empty(0), np.empty(0, dtype=np.int64))
        window = AdmissionWindow(
            at=requests.at,
            loop=requests.loop,
            upstream=requests.upstream,
            loop_id=loop_id,
            departures=self._departures,
            awaiting_upstream=none
            if calls is None
            else (calls.upstream_done + calls.streaming, calls.loop_id),
            free_at=self.free_at,
            end=end,
            stream=requests.stream,
        )
        if admission.admits_all(window, self._limit):
            return None
        return admission.find_rejected(window, self._upstream, self._limit)

    def _call_upstream(
        self, requests: Requests, slot: Ints, loop_id: Ints, done: Floats, rejected: Bools | None
    ) -> CalledRequests:
        if rejected is None:
            answered, failed = self._upstream.call(done, requests.upstream)
        else:
            answered, failed = done.copy(), np.zeros(len(done), dtype=np.int64)
            admitted = ~rejected
            answered[admitted], failed[admitted] = self._upstream.call(
                done[admitted], requests.upstream[admitted]
            )
            failed[rejected] = SHED
        late = answered > requests.at + self._deadline
        calls = CalledRequests.of(requests, slot=slot, loop_id=loop_id, loop_done=done)
        calls.times[5] = answered
        calls.marks[4], calls.marks[5] = np.where(late, CANCELLED, failed), late
        return calls

    def _answer(
        self, new: CalledRequests, schedule: loops.LoopSchedule, before: Floats, end: float
    ) -> tuple[ServedRequests, RequestBatch, FirstBytes | None]:
        calls = self._due(new, end)
        # A rejection does not wait for the loop a second time.
        waits = schedule.waits(calls.upstream_done, calls.loop_id, before)
        first = calls.upstream_done + np.where(calls.outcome == SHED, 0.0, waits)
        late = first > calls.at + self._deadline
        if late.any():
            calls = calls.with_outcome(np.where(late, CANCELLED, calls.outcome))
        ends = first + calls.streaming
        self._track_departures(calls, ends, end)
        waiting = ~calls.abandoned
        if waiting.all():
            answered = self._for_clients(calls, first)
        else:
            answered = self._for_clients(calls.take(waiting), first[waiting])
        since = self.since
        return answered, calls.batch(ends, since), calls.first_bytes(first, since)

    def _all(self) -> CalledRequests | None:
        calls = [each for bucket in self._calls.values() for each in bucket]
        return join(calls) if calls else None

    def _due(self, new: CalledRequests, end: float) -> CalledRequests:
        """Calls answered before ``end``. Buckets avoid a scan of a queue of minutes each time."""
        last = int(end // _BUCKET_SECONDS)
        buckets = [key for key in self._calls if key <= last]
        calls = join([*(each for key in buckets for each in self._calls.pop(key)), new])
        due = calls.upstream_done < end
        if due.all():
            return calls
        later = calls.take(~due)
        keys = (later.upstream_done // _BUCKET_SECONDS).astype(np.int64)
        for key in sorted(set(keys.tolist())):
            self._calls.setdefault(key, []).append(later.take(keys == key))
        return calls.take(due)

    def _for_clients(self, calls: CalledRequests, first: Floats) -> ServedRequests:
        limit = calls.at + self._deadline
        outcome = np.where(first > limit, CANCELLED, calls.outcome)
        first = np.minimum(first, limit)
        if not calls.streams:
            return ServedRequests(calls.requests, first, outcome)
        ends = first + calls.with_outcome(outcome).streaming
        return ServedRequests(calls.requests, ends, outcome, first)

    def _track_departures(self, calls: CalledRequests, ends: Floats, end: float) -> None:
        """Keep what is still in flight at ``end``, for admission."""
        if self._limit == 0:
            return
        left_at = np.concatenate((self._departures[0], ends))
        loop_ids = np.concatenate((self._departures[1], calls.loop_id))
        stays = left_at >= end
        self._departures = (left_at[stays], loop_ids[stays])
