"""Service demand c: the loop seconds that a request costs.

    c = (loop time - idle work) / requests, over the slow window

30 ticks of 2 s, 100 requests a second, 4 workers, 0.92 loop seconds a second of which 0.02
are idle work (0.005 a worker): c = (0.92 - 4 x 0.005) / 100 = 9 ms.

Ticks whose own ratio is over three times the median, or under a third of it, are left out: a
handler that blocks a loop once for 4 s is not what a request costs. What is in flight has
had a part of its work done, so a tick's requests are taken midway between those that came
and those that ended; only when a loop is full are those that ended the measure.
"""

from statistics import median

from aiapi_operator.sizing import windows
from aiapi_operator.sizing.state import ServiceDemand, Tick

FEWEST = 20
"""Requests in the window below which the last known c is kept."""
ENOUGH_TICKS = 5
ENOUGH_REQUESTS = 200
OUTLIER = 3.0
FULL = 0.8
"""Utilisation of the busiest pod from which requests wait for the loop."""
HIGHEST_IDLE = 0.02
"""Heartbeats and housekeeping take well under this part of a worker's time."""
LONGEST = 3600.0


def estimate(ticks: tuple[Tick, ...], last: ServiceDemand | None) -> ServiceDemand | None:
    """c from the slow window, or what was known before when there is too little in it."""
    idle = _idle(ticks, 0.0 if last is None else last.idle)
    busy = [
        (work, requests, tick.seconds)
        for tick in ticks
        if (requests := _requests(tick)) * tick.seconds >= 1
        and (work := tick.loop - idle * tick.workers) > 0
    ]
    if not busy:
        return last
    middle = median(work / requests for work, requests, _ in busy)
    usual = [each for each in busy if middle / OUTLIER <= each[0] / each[1] <= middle * OUTLIER]
    counted = sum(requests * seconds for _, requests, seconds in usual)
    if counted < FEWEST:
        return last
    seconds = sum(work * length for work, _, length in usual) / counted
    return ServiceDemand(
        seconds=min(seconds, LONGEST),
        idle=idle,
        requests=int(min(counted, 1e9)),
        confident=counted >= ENOUGH_REQUESTS and len(usual) >= ENOUGH_TICKS,
    )


def _requests(tick: Tick) -> float:
    if tick.busiest >= FULL:
        return tick.completed
    return (tick.completed + max(0.0, tick.arrivals - tick.shed)) / 2


def _idle(ticks: tuple[Tick, ...], known: float) -> float:
    """Loop time of a worker that serves nothing, as seen in ticks with next to no request."""
    quiet = [tick for tick in ticks if tick.workers > 0 and tick.arrivals + tick.completed <= 0.1]
    if not quiet:
        return known
    return min(HIGHEST_IDLE, windows.mean(quiet, "loop") / windows.mean(quiet, "workers"))
