"""Requests that wait for the upstream, as columns of two tables."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aiapi_operator.simulate.admission import Bools
from aiapi_operator.simulate.counters import SUCCESS, PendingRequests, RequestBatch
from aiapi_operator.simulate.first_bytes import FirstBytes
from aiapi_operator.simulate.loops import Ints
from aiapi_operator.simulate.requests import Requests
from aiapi_operator.simulate.traces import Floats


@dataclass(frozen=True, slots=True)
class CalledRequests:
    """Requests that have left their loop for the upstream; a column of both tables is a request.

    Two tables, because selecting columns of a table costs as much as selecting from one row.
    """

    times: Floats
    """Rows: arrival, loop time, upstream time, first attempt, loop done, upstream done, and the
    stream's duration if the service streams."""
    marks: Ints
    """Rows: connection, prior attempts, slot, loop, outcome, whether the client has given up."""

    @classmethod
    def of(
        cls, requests: Requests, *, slot: Ints, loop_id: Ints, loop_done: Floats
    ) -> "CalledRequests":
        """Requests that have left their loop; the other rows are not set yet."""
        rows = 6 if requests.stream is None else 7
        times, marks = np.empty((rows, len(slot))), np.empty((6, len(slot)), dtype=np.int64)
        times[0], times[1], times[2] = requests.at, requests.loop, requests.upstream
        times[3], times[4] = requests.first_at, loop_done
        if requests.stream is not None:
            times[6] = requests.stream
        marks[0], marks[1] = requests.connection, requests.prior_attempts
        marks[2], marks[3] = slot, loop_id
        return cls(times, marks)

    @property
    def requests(self) -> Requests:
        """The requests as they arrived."""
        at, loop, upstream, first_at = self.times[:4]
        return Requests(
            at, loop, upstream, self.marks[0], first_at, self.marks[1], self._stream_row
        )

    @property
    def _stream_row(self) -> Floats | None:
        return self.times[6] if len(self.times) > 6 else None

    @property
    def streaming(self) -> Floats | float:
        """Time from the first byte to the end. A request without success has no stream."""
        row = self._stream_row
        return 0.0 if row is None else np.where(self.outcome == SUCCESS, row, 0.0)

    @property
    def at(self) -> Floats:
        row: Floats = self.times[0]
        return row

    @property
    def slot(self) -> Ints:
        row: Ints = self.marks[2]
        return row

    @property
    def loop_id(self) -> Ints:
        row: Ints = self.marks[3]
        return row

    @property
    def upstream_done(self) -> Floats:
        row: Floats = self.times[5]
        return row

    @property
    def outcome(self) -> Ints:
        row: Ints = self.marks[4]
        return row

    @property
    def abandoned(self) -> Bools:
        """Whether the client has given up."""
        row: Bools = self.marks[5] == 1
        return row

    def take(self, which: Bools) -> "CalledRequests":
        """The selected requests."""
        places = which.nonzero()[0]
        return CalledRequests(self.times.take(places, axis=1), self.marks.take(places, axis=1))

    def with_outcome(self, outcome: Ints) -> "CalledRequests":
        """The same requests with another outcome."""
        marks = self.marks.copy()
        marks[4] = outcome
        return CalledRequests(self.times, marks)

    def pending(self, since: Floats) -> PendingRequests:
        """The requests without their end."""
        return PendingRequests(self.slot, self._at_pod(since), self.times[4])

    def _at_pod(self, since: Floats) -> Floats:
        """When the pods got the requests; ``since`` is when each slot's pod became ready."""
        return np.maximum(self.at, since[self.slot])

    @property
    def streams(self) -> bool:
        """Whether the service streams."""
        return self._stream_row is not None

    def first_bytes(self, first: Floats, since: Floats) -> FirstBytes | None:
        """First bytes of streams that are sent at ``first``."""
        if not self.streams:
            return None
        good = self.outcome == SUCCESS
        return FirstBytes(self.slot[good], self._at_pod(since)[good], first[good])

    def batch(self, ended_at: Floats, since: Floats) -> RequestBatch:
        """The requests with their end."""
        arrived = self._at_pod(since)
        return RequestBatch.of(self.slot, arrived, self.times[4], ended_at, self.outcome)


def join(calls: Sequence[CalledRequests]) -> CalledRequests:
    """All of them in one table."""
    if len(calls) == 1:
        return calls[0]
    return CalledRequests(
        np.concatenate([each.times for each in calls], axis=1),
        np.concatenate([each.marks for each in calls], axis=1),
    )
