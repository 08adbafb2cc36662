"""Event loops as queues with one server each, for many requests at once.

A loop takes requests in the order in which they come: one begins when it has come and the one
before it is done. With the requests of one loop numbered 1, 2, ... and S(i) the loop time of
the first i of them,

    end(i) = S(i) + max over j <= i of (arrival(j) - S(j - 1))        (Lindley, 1952)

which is a running sum and a running maximum. Two requests that come at 0.0 and 0.1 s and cost
0.3 s each end at 0.3 and 0.6: the second waits for 0.2 s.
"""

import numpy as np
import numpy.typing as npt

from aiapi_operator.simulate.traces import Floats

Ints = npt.NDArray[np.int64]


def serve(at: Floats, cost: Floats, loop: Ints, free_at: Floats, *, patience: float) -> Floats:
    """When each request is done with its loop; NaN where its caller gave up waiting for it.

    ``loop`` says which loop each request goes to. ``free_at`` has the moment from which each
    loop is free, and is brought up to date. Who waits for longer than ``patience`` gives up
    and costs nothing.
    """
    if len(at) == 0:
        return np.empty(0)
    order = np.argsort(loop.astype(np.int32), kind="stable")
    lane, come, work = loop[order], at[order], cost[order]
    new = np.concatenate(([True], lane[1:] != lane[:-1]))
    first = np.flatnonzero(new)
    total = np.cumsum(work)
    slack = come - (total - work)
    slack[first] += np.maximum(0.0, free_at[lane[first]] - come[first])
    done = total + _running_maximum(slack, np.cumsum(new) - 1)
    late = (done - work - come) > patience
    last = np.append(first[1:], len(lane)) - 1
    previous = free_at[lane[first]]
    free_at[lane[first]] = done[last]
    if late.any():
        for begin, end, before in zip(first, last + 1, previous, strict=True):
            if late[begin:end].any():
                ends, free = _serve_one(come[begin:end], work[begin:end], before, patience)
                done[begin:end] = ends
                free_at[lane[begin]] = free
    result = np.empty(len(at))
    result[order] = done
    return result


def _running_maximum(values: Floats, group: Ints) -> Floats:
    """The running maximum within each group: each is lifted above all that is before it."""
    lift = group * (float(values.max() - values.min()) + 1.0)
    highest: Floats = np.maximum.accumulate(values + lift) - lift
    return highest


def _serve_one(at: Floats, cost: Floats, free: float, patience: float) -> tuple[list[float], float]:
    """One loop, request by request, since who gives up depends on who did before."""
    ends = []
    for come, work in zip(at.tolist(), cost.tolist(), strict=True):
        begin = max(come, free)
        if begin - come > patience:
            ends.append(float("nan"))
            continue
        free = begin + work
        ends.append(free)
    return ends, float(free)
