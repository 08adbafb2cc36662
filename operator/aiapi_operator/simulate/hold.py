"""Requests that arrive while no pod is ready: held until one is, or refused.

What stands in front of the pods decides: an activator or interceptor holds requests, a Service does
not. A client's deadline counts from the arrival, so a request that is held for longer is lost to
its client. Example: pods start in 8 s, and the deadline is 10 s. A request that arrives first is
sent to the pod after 8.3 s and is answered in time; with a deadline of 5 s it fails at 5 s.
"""

from dataclasses import dataclass
from math import inf

import numpy as np

from aiapi_operator.simulate.counters import CANCELLED, SHED, Outcome
from aiapi_operator.simulate.in_flight import ServedRequests
from aiapi_operator.simulate.requests import Requests, concatenate

HANDOVER = 0.3
"""Seconds from a request at zero until its pod is ordered, and from its start until it is probed,
together. The goal of this operator's activator at p95; the others get the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """What accepts requests while no pod is ready."""

    most: float = 1000
    """Requests held at a time; further ones are refused."""
    seconds: float = 300.0
    """Seconds that a request is held."""
    wakes: bool = True
    """Whether a request makes the autoscaler decide at once; otherwise at its next interval."""
    counts: float = 0.0
    """Seconds in flight that the autoscaler's metric shows for a refused request."""


ACTIVATOR = Front()
"""This operator's, at its defaults."""


class HeldRequests:
    """The requests that wait for a pod."""

    def __init__(self, front: Front, deadline: float) -> None:
        self._front = front
        self._longest = min(front.seconds, deadline)
        self._late = CANCELLED if deadline <= front.seconds else int(Outcome.SERVER_ERROR)
        self._waiting: Requests | None = None
        self._left_seconds = 0.0

    def __len__(self) -> int:
        return 0 if self._waiting is None else len(self._waiting)

    def in_flight_seconds(self, now: float) -> float:
        """Seconds in flight as the front's metric shows them: of all that were held or refused."""
        waiting = 0.0 if self._waiting is None else float((now - self._waiting.at).sum())
        return self._left_seconds + waiting

    def add(self, requests: Requests) -> ServedRequests | None:
        """Hold requests; returns those that are refused."""
        room = int(min(self._front.most - len(self), len(requests)))
        if room > 0:
            new = requests.take(slice(0, room))
            self._waiting = new if self._waiting is None else concatenate((self._waiting, new))
        if room == len(requests):
            return None
        refused = requests.take(slice(room, None))
        self._left_seconds += len(refused) * self._front.counts
        outcome = SHED if self._front.most else int(Outcome.SERVER_ERROR)
        return ServedRequests(refused, refused.at, np.full(len(refused), outcome))

    def expire(self, now: float) -> ServedRequests | None:
        """The requests that were held for too long."""
        if self._waiting is None:
            return None
        ends = self._waiting.at + self._longest
        late = ends <= now
        if not late.any():
            return None
        gone = self._waiting.take(late)
        self._waiting = None if late.all() else self._waiting.take(~late)
        self._left_seconds += len(gone) * self._longest
        return ServedRequests(gone, ends[late], np.full(len(gone), self._late))

    def release(self, now: float) -> Requests | None:
        """All requests, for a pod that is ready."""
        self._left_seconds = self.in_flight_seconds(now)
        released, self._waiting = self._waiting, None
        return released

    def end(self) -> ServedRequests | None:
        """The run is over: no pod took them."""
        return self.expire(inf)
