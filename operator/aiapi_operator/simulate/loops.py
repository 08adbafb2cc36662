"""Event loops as single-server FIFO queues, for many requests in one call.

A loop processes requests in order of arrival: a request starts when it has arrived and the one
before it is done. With the requests of one loop numbered 1, 2, ... and S(i) the total loop time
of the first i of them,

    end(i) = S(i) + max over j <= i of (arrival(j) - S(j - 1))        (Lindley, 1952)

which is a running sum and a running maximum. Two requests that arrive at 0.0 and 0.1 s and cost
0.3 s each end at 0.3 and 0.6: the second waits for 0.2 s.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aiapi_operator.simulate.traces import Floats

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LoopSchedule:
    """When the loops process some requests, sorted by loop and arrival."""

    order: Ints
    loop_id: Ints
    at: Floats
    done: Floats
    first: Ints
    """Index of each loop's first request."""
    span: tuple[float, float]
    """The first and the last arrival."""

    def completion_times(self) -> Floats:
        """When each request is done with its loop, in the original order."""
        result = np.empty(len(self.order))
        result[self.order] = self.done
        return result

    def free_at(self, before: Floats) -> Floats:
        """When each loop becomes free. ``before`` is the same before these requests."""
        after = before.copy()
        if len(self.loop_id):
            last = np.concatenate((self.first[1:], (len(self.loop_id),))) - 1
            after[self.loop_id[last]] = self.done[last]
        return after

    def waits(self, at: Floats, loop_id: Ints, before: Floats) -> Floats:
        """Remaining work of each loop at some moments: how long a new arrival would wait.

        A loop that began a request of 0.3 s at 0.0 has 0.2 s of work left at 0.1.
        """
        busy_until = before[loop_id]
        if len(self.loop_id):
            earliest = min(self.span[0], float(at.min(initial=np.inf)))
            latest = max(self.span[1], float(at.max(initial=-np.inf)))
            span = latest - earliest + 1.0
            keys = self.loop_id * span + (self.at - earliest)
            place = keys.searchsorted(loop_id * span + (at - earliest), side="right") - 1
            found = (place >= 0) & (self.loop_id[place] == loop_id)
            busy_until = np.where(found, self.done[place], busy_until)
        waits: Floats = np.maximum(0.0, busy_until - at)
        return waits


def serve(at: Floats, cost: Floats, loop_id: Ints, free_at: Floats) -> LoopSchedule:
    """Process requests, sorted by ``at``, on the loops in ``loop_id``.

    ``free_at`` is the moment from which each loop is free.
    """
    order = np.argsort(loop_id.astype(np.int32), kind="stable")
    loops, arrived, work = loop_id[order], at[order], cost[order]
    if len(at) == 0:
        return LoopSchedule(order, loops, arrived, arrived, order, (0.0, 0.0))
    new = np.ones(len(at), dtype=np.bool_)
    np.not_equal(loops[1:], loops[:-1], out=new[1:])
    first = new.nonzero()[0]
    total = np.cumsum(work)
    slack = arrived - (total - work)
    slack[first] += np.maximum(0.0, free_at[loops[first]] - arrived[first])
    done = total + _running_maximum(slack, np.cumsum(new) - 1)
    return LoopSchedule(order, loops, arrived, done, first, (float(at[0]), float(at[-1])))


def _running_maximum(values: Floats, group: Ints) -> Floats:
    """The running maximum within each group: each group is lifted above all groups before it."""
    lift = group * (float(values.max() - values.min()) + 1.0)
    highest: Floats = np.maximum.accumulate(values + lift) - lift
    return highest
