"""Event loops as queues with one server each, for many requests at once.

A loop takes requests in the order in which they come: one begins when it has come and the one
before it is done. With the requests of one loop numbered 1, 2, ... and S(i) the loop time of
the first i of them,

    end(i) = S(i) + max over j <= i of (arrival(j) - S(j - 1))        (Lindley, 1952)

which is a running sum and a running maximum. Two requests that come at 0.0 and 0.1 s and cost
0.3 s each end at 0.3 and 0.6: the second waits for 0.2 s.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aiapi_operator.simulate.traces import Floats

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LoopSchedule:
    """What the loops did with some requests, sorted by loop and arrival."""

    order: Ints
    lane: Ints
    at: Floats
    done: Floats
    first: Ints
    """Where each loop's requests begin."""
    span: tuple[float, float]
    """The first and the last arrival."""

    def by_request(self) -> Floats:
        """When each request is done with its loop, in the order in which they were given."""
        result = np.empty(len(self.order))
        result[self.order] = self.done
        return result

    def free_at(self, before: Floats) -> Floats:
        """From when each loop is free, where it was ``before``."""
        after = before.copy()
        if len(self.lane):
            last = np.concatenate((self.first[1:], (len(self.lane),))) - 1
            after[self.lane[last]] = self.done[last]
        return after

    def waits(self, at: Floats, lane: Ints, before: Floats) -> Floats:
        """What each loop still has to do at some moments: how long a newcomer would wait.

        A loop that began a request of 0.3 s at 0.0 has 0.2 s left to do at 0.1.
        """
        busy_until = before[lane]
        if len(self.lane):
            earliest = min(self.span[0], float(at.min(initial=np.inf)))
            latest = max(self.span[1], float(at.max(initial=-np.inf)))
            span = latest - earliest + 1.0
            keys = self.lane * span + (self.at - earliest)
            place = keys.searchsorted(lane * span + (at - earliest), side="right") - 1
            found = (place >= 0) & (self.lane[place] == lane)
            busy_until = np.where(found, self.done[place], busy_until)
        waits: Floats = np.maximum(0.0, busy_until - at)
        return waits


def serve(at: Floats, cost: Floats, loop: Ints, free_at: Floats) -> LoopSchedule:
    """Let loops do requests, sorted by ``at``. ``loop`` says which loop each of them goes to.

    ``free_at`` has the moment from which each loop is free.
    """
    order = np.argsort(loop.astype(np.int32), kind="stable")
    lane, come, work = loop[order], at[order], cost[order]
    if len(at) == 0:
        return LoopSchedule(order, lane, come, come, order, (0.0, 0.0))
    new = np.ones(len(at), dtype=np.bool_)
    np.not_equal(lane[1:], lane[:-1], out=new[1:])
    first = new.nonzero()[0]
    total = np.cumsum(work)
    slack = come - (total - work)
    slack[first] += np.maximum(0.0, free_at[lane[first]] - come[first])
    done = total + _running_maximum(slack, np.cumsum(new) - 1)
    return LoopSchedule(order, lane, come, done, first, (float(at[0]), float(at[-1])))


def _running_maximum(values: Floats, group: Ints) -> Floats:
    """The running maximum within each group: each is lifted above all that is before it."""
    lift = group * (float(values.max() - values.min()) + 1.0)
    highest: Floats = np.maximum.accumulate(values + lift) - lift
    return highest
