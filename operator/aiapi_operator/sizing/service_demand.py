"""Estimates the service demand c: the loop seconds per request.

    loop time = idle work x workers + c x requests

It is fitted over the slow window, in two robust steps:

Idle work. If the load per worker doubled or halved within the window, the slope between each two
blocks of ticks is computed, and the median intercept is the idle work (Theil 1950, Sen 1968): half
of the blocks may be outliers. Otherwise it comes from ticks without requests, or from before.

c. Ticks are grouped into blocks of at least 25 requests, so that cheap and expensive requests are
mixed in each block much as overall. Blocks whose cost is over three times the median, or under a
third, are dropped: a handler that blocks a loop once for 4 s is not the cost of a request. c is the
loop time of the other blocks over their requests: a mean, so that expensive requests count.

30 ticks of 2 s, 100 rps, 4 workers, 0.92 loop seconds per second, of which 0.02 are idle work
(0.005 per worker): c = (0.92 - 4 x 0.005) / 100 = 9 ms.

Rising cost. When the newest blocks (at least three and 6 s) cost a quarter more than those before,
with nine in ten of either on their side of the middle, a deployment is assumed: older blocks are
dropped, and the new cost is known within seconds. A lower cost is accepted only as the window
fills, because requests that answer "not found" for a while are cheap, too.

Confidence. c is confident with 200 requests in 5 blocks and a standard error of the mean of at most
a tenth.

Part of the work of requests in flight is done, so a tick's requests are the mean of those that
arrived and those that completed; only if a loop is full, those that completed are used. Ticks in
which many requests failed are excluded: a failure is cheaper than an answer.
"""

from bisect import bisect_left, insort
from dataclasses import dataclass
from itertools import combinations
from math import sqrt
from statistics import median

from aiapi_operator.sizing.state import ServiceDemand, Tick

MIN_REQUESTS = 20
"""Requests in the window below which the last known c is kept."""
CONFIDENT_BLOCKS = 5
CONFIDENT_REQUESTS = 200
BLOCK = 25
OUTLIER = 3.0
CHANGED = 1.25
CHANGE_BLOCKS = 3
INTERCEPT_BLOCKS = 16
"""Their 120 slopes suffice for a median and are fast to compute."""
CHANGE_SECONDS = 6.0
CONFIDENT_ERROR = 0.1
FULL = 0.8
"""Utilization of the busiest pod from which requests wait for the loop."""
MAX_IDLE = 0.02
"""Upper bound of idle work, as a share of a worker's time."""
SPREAD = 2.0
"""Minimum variation of the load per worker for an intercept, outer fifths apart: chance alone makes
blocks of 25 requests vary by 1.4."""
MAX_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class _Block:
    """Several ticks together: seconds of wall time, loop time and worker time, and requests."""

    seconds: float
    loop: float
    workers: float
    requests: float

    def cost(self, idle: float) -> float:
        return max(0.0, self.loop - idle * self.workers) / self.requests


def estimate(ticks: tuple[Tick, ...], last: ServiceDemand | None) -> ServiceDemand | None:
    """c from the slow window, or the last known value if there is too little data."""
    blocks = _blocks([tick for tick in ticks if not tick.failing])
    if not blocks:
        return last
    idle = _idle(ticks, blocks, 0.0 if last is None else last.idle)
    costs = [block.cost(idle) for block in blocks]
    changed = _change(blocks, costs)
    blocks, costs = blocks[changed:], costs[changed:]
    middle = median(costs)
    usual = [
        (block, cost)
        for block, cost in zip(blocks, costs, strict=True)
        if cost > 0 and middle / OUTLIER <= cost <= middle * OUTLIER
    ]
    requests = sum(block.requests for block, _ in usual)
    if requests < MIN_REQUESTS:
        return last
    seconds = sum(cost * block.requests for block, cost in usual) / requests
    error = _error([cost for _, cost in usual], seconds)
    enough = requests >= CONFIDENT_REQUESTS and len(usual) >= CONFIDENT_BLOCKS
    return ServiceDemand(
        seconds=min(seconds, MAX_SECONDS),
        idle=idle,
        requests=int(min(requests, 1e9)),
        confident=enough and error <= CONFIDENT_ERROR,
    )


def _blocks(ticks: list[Tick]) -> list[_Block]:
    """Groups ticks until they have enough requests, from the newest back."""
    blocks: list[_Block] = []
    seconds = loop = workers = requests = 0.0
    for tick in reversed(ticks):
        length = tick.seconds
        seconds += length
        loop += tick.loop * length
        workers += tick.workers * length
        requests += _requests(tick) * length
        if requests >= BLOCK:
            blocks.append(_Block(seconds, loop, workers, requests))
            seconds = loop = workers = requests = 0.0
    if requests >= 1 and not blocks:
        blocks.append(_Block(seconds, loop, workers, requests))
    blocks.reverse()
    return blocks


def _change(blocks: list[_Block], costs: list[float]) -> int:
    """The first block since the cost rose permanently, or 0."""
    if min(costs) * CHANGED > max(costs):
        return 0
    before: list[float] = []
    after = sorted(costs)
    for first, cost in enumerate(costs[:-CHANGE_BLOCKS], start=1):
        insort(before, cost)
        del after[bisect_left(after, cost)]
        if first >= CHANGE_BLOCKS and _rose(before, after):
            seconds = sum(block.seconds for block in blocks[first:])
            return first if seconds >= CHANGE_SECONDS else 0
    return 0


def _rose(before: list[float], after: list[float]) -> bool:
    """Whether the medians are a quarter apart, with nine in ten on either side of the middle."""
    highest, lowest = _quantile(before, 0.9), _quantile(after, 0.1)
    if highest >= lowest:
        return False
    low, high = _middle(before), _middle(after)
    return high > low * CHANGED and highest < sqrt(low * high) < lowest


def _middle(ascending: list[float]) -> float:
    """The median of a sorted list."""
    half = len(ascending) // 2
    return ascending[half] if len(ascending) % 2 else (ascending[half - 1] + ascending[half]) / 2


def _quantile(ascending: list[float], part: float) -> float:
    return ascending[round(part * (len(ascending) - 1))]


def _error(costs: list[float], mean: float) -> float:
    """Relative standard error of the mean cost."""
    if len(costs) < 2 or mean <= 0:
        return 1.0
    spread = sum((cost - mean) ** 2 for cost in costs) / (len(costs) - 1)
    return sqrt(spread / len(costs)) / mean


def _requests(tick: Tick) -> float:
    if tick.busiest >= FULL:
        return tick.completed
    return (tick.completed + max(0.0, tick.arrivals - tick.shed)) / 2


def _idle(ticks: tuple[Tick, ...], blocks: list[_Block], known: float) -> float:
    """Loop time of a worker without requests."""
    quiet = [tick for tick in ticks if tick.workers > 0 and tick.arrivals + tick.completed <= 0.1]
    if quiet:
        workers = sum(tick.workers * tick.seconds for tick in quiet)
        return min(MAX_IDLE, sum(tick.loop * tick.seconds for tick in quiet) / workers)
    points = [
        (block.requests / block.workers, block.loop / block.workers)
        for block in blocks
        if block.workers > 0
    ][-INTERCEPT_BLOCKS:]
    loads = sorted(load for load, _ in points)
    if len(points) < CONFIDENT_BLOCKS or _quantile(loads, 0.8) < SPREAD * _quantile(loads, 0.2):
        return known
    slopes = [
        (high[1] - low[1]) / (high[0] - low[0])
        for low, high in combinations(sorted(points), 2)
        if high[0] > low[0]
    ]
    slope = median(slopes)
    intercept = median(loop - slope * requests for requests, loop in points)
    return min(MAX_IDLE, max(0.0, intercept))
