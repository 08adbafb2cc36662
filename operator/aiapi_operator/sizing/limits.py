"""Limits of a worker other than its loop: threads, and the number of concurrent requests.

A call that finds no free thread waits while the loop is idle and no upstream is called. A call
holds its thread until it ends, so a slower upstream needs more threads; requests that await the
upstream in a coroutine hold none. With t thread seconds per request over the last minute:

    threads = arrivals x t, at least the busy ones, at most the busy ones plus the waiting calls

Example: 100 rps, 0.3 s each: 30 threads. 200 rps arrive at a worker with 40: 133 rps complete, 40
threads are busy, t = 40 / 133 = 0.3 s, and 200 x 0.3 = 60 threads are needed.

Only a share of a worker's threads is planned for. Small pools need relatively more spare threads:
by square-root staffing (Halfin and Whitt, 1981) n threads leave about sqrt(n) / 1.6 free, so that
calls seldom wait: 1 thread is planned at 37 %, 4 at 68 %, 10 and more at 80 %.

While half or more of the completed requests fail, t does not change: calls that hang are not
demand.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt

from aiapi_operator.sizing.inputs import PodSample
from aiapi_operator.sizing.state import FAST_WINDOW, ThreadUse, Tick

FULL_SHARE = 0.8
"""Planned share of a worker's limit: the rest allows for uneven load."""
ROOM = 0.632
"""Spare threads, in square roots of the pool size: 80 % of ten are planned."""
CERTAIN_SIGMAS = 2.0
MAX_SHED_FACTOR = 1.5
LOADED = 0.05
"""Share of busy threads below which their ratio to the loop time is noise."""
MAX_COUNTER = 1e15
"""No counter of a real pod exceeds this; NaN is rejected, too."""
MOSTLY = 0.5
MIN_REQUESTS = 20
"""Requests needed to measure the thread time."""

Costs = tuple[tuple[str, float], ...]
"""Thread seconds per request, by pool."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadPoolNeed:
    """The thread pool that needs the most workers."""

    name: str
    limit: int
    """Threads per worker."""
    needed: float
    """Threads that the load needs now, in all workers together."""
    busy: float
    waiting: float
    """Calls waiting for a thread."""
    utilization: float
    """Share of busy threads, 0..1."""

    @property
    def planned_share(self) -> float:
        """Planned share of a worker's threads."""
        return planned_share(self.limit)

    @property
    def workers(self) -> float:
        """Workers for the threads that are needed now."""
        return self.needed / (self.limit * self.planned_share)


def planned_share(limit: int) -> float:
    """Share of ``limit`` threads that can be busy before calls wait."""
    return min(FULL_SHARE, 1 - ROOM / sqrt(limit))


def measure(
    pods: Iterable[tuple[PodSample, PodSample | None]], *, ready: int
) -> tuple[tuple[ThreadUse, ...], int]:
    """Thread use of all ready pods since their last samples, and the concurrent requests per
    worker.

    A pod that does not report counts as the mean of those that do.
    """
    sums: dict[str, list[float]] = {}
    said, most = 0, 0
    for pod, before in pods:
        pools = pod.threads
        if pools is None and pod.worker_limit == 0:
            continue
        if pod.worker_limit > 0 and not any(p.limit == pod.worker_limit for p in pools or ()):
            # A pool of the same size is that limit: use its thread use instead.
            most = min(most or pod.worker_limit, pod.worker_limit)
        uses = None if pools is None or before is None else _since(pod, before)
        if uses is None:
            continue
        said += 1
        for name, limit, busy, waiting in uses:
            found = sums.setdefault(name, [limit, 0.0, 0.0])
            found[0] = min(found[0], limit)
            found[1] += busy
            found[2] += waiting
    scale = ready / max(1, said)
    total = (
        ThreadUse(name=name, limit=int(limit), busy=busy * scale, waiting=waiting * scale)
        for name, (limit, busy, waiting) in sums.items()
    )
    return tuple(total), most


def _since(pod: PodSample, before: PodSample) -> list[tuple[str, int, float, float]] | None:
    """Name, limit, busy threads and waiting calls of each pool; None if unknown."""
    if before.threads is None:
        return None
    past = {each.name: each for each in before.threads}
    seconds = pod.time - before.time
    uses = []
    for pool in pod.threads or ():
        # A pool is reported only once it has been used.
        old = past.get(pool.name)
        busy = pool.busy_seconds - (old.busy_seconds if old else 0.0)
        waiting = pool.waiting_seconds - (old.waiting_seconds if old else 0.0)
        if not (pool.limit > 0 and busy >= 0 and waiting >= 0 and busy + waiting <= MAX_COUNTER):
            return None
        uses.append((pool.name, pool.limit, busy / seconds, waiting / seconds))
    return uses


def learn(ticks: Sequence[Tick], last: Costs) -> Costs:
    """Thread seconds per request over the slow window; unchanged while most requests fail."""
    if not ticks[-1].threads or _fails(ticks[-1]):
        return last
    sound = [tick for tick in ticks if not _fails(tick)]
    completed = sum(tick.completed * tick.seconds for tick in sound)
    if completed < MIN_REQUESTS:
        return last
    busy: dict[str, float] = {}
    for tick in sound:
        for pool in tick.threads:
            busy[pool.name] = busy.get(pool.name, 0.0) + pool.busy * tick.seconds
    return tuple((name, seconds / completed) for name, seconds in busy.items())


def _fails(tick: Tick) -> bool:
    """Whether most completed requests failed. Few may have completed: the rest waits."""
    failed = tick.server_errors + tick.cancelled
    return failed > 0 and failed >= MOSTLY * tick.completed


def threads(recent: Sequence[Tick], costs: Costs, *, level: float) -> ThreadPoolNeed | None:
    """The need of the pool that needs the most workers; None if no pool is known.

    ``level`` is the current arrivals per second, and ``recent`` the ticks of the fast window.
    """
    known = dict(costs)
    pools = {pool.name: pool for tick in recent for pool in tick.threads}
    found = (_one(recent, pool, known.get(name), level) for name, pool in pools.items())
    return max(found, key=lambda each: each.workers, default=None)


def _one(
    recent: Sequence[Tick], pool: ThreadUse, cost: float | None, level: float
) -> ThreadPoolNeed:
    parts = [
        (each, tick.seconds, tick.workers)
        for tick in recent
        for each in tick.threads
        if each.name == pool.name
    ]
    span = sum(seconds for _, seconds, _ in parts)
    busy = sum(each.busy * seconds for each, seconds, _ in parts) / span
    waiting = sum(each.waiting * seconds for each, seconds, _ in parts) / span
    there = pool.limit * sum(workers * seconds for _, seconds, workers in parts) / span
    most = max(busy + waiting, pool.busy + pool.waiting)
    needed = busy
    if cost is not None:
        # Calls that last t overlap: chance may add this much to the mean of the window.
        chance = CERTAIN_SIGMAS * sqrt(2 * busy * cost / max(span, FAST_WINDOW))
        least = 0.0 if any(map(_fails, recent)) else max(0.0, busy - chance)
        needed = min(max(least, level * cost), most + chance)
    return ThreadPoolNeed(
        name=pool.name,
        limit=pool.limit,
        needed=needed,
        busy=busy,
        waiting=waiting,
        utilization=min(1.0, busy / there) if there > 0 else 0.0,
    )


def max_loop_utilization(ticks: Sequence[Tick], target: float) -> float:
    """The highest loop utilization: ``target``, or less if threads run out earlier.

    Loops 10 % busy with 40 % of the threads: with 80 % of the threads, loops are 20 % busy.
    """
    loop = sum(tick.loop * tick.seconds for tick in ticks)
    workers = sum(tick.workers * tick.seconds for tick in ticks)
    held: dict[str, float] = {}
    limit: dict[str, int] = {}
    for tick in ticks:
        for pool in tick.threads:
            held[pool.name] = held.get(pool.name, 0.0) + pool.busy * tick.seconds
            limit[pool.name] = pool.limit
    for name, busy in held.items():
        if busy > LOADED * limit[name] * workers:
            target = min(target, planned_share(limit[name]) * limit[name] * loop / busy)
    return target


def calls_in_threads(recent: Sequence[Tick]) -> float:
    """Calls that have a thread or wait for one: they are not at a loop."""
    span = sum(tick.seconds for tick in recent)
    calls = (tick.seconds * (each.busy + each.waiting) for tick in recent for each in tick.threads)
    return sum(calls) / span


def concurrency(recent: Sequence[Tick], spec_limit: int) -> int:
    """Concurrent requests per worker: the lower of the user's limit and the pods' own."""
    own = recent[-1].worker_limit if recent else 0
    return min((limit for limit in (spec_limit, own) if limit > 0), default=0)


def unshed_in_flight(recent: Sequence[Tick], in_flight: float) -> float:
    """Requests in flight if none had been shed.

    A limit of 50 per worker, 100 rps arrive, 20 of them are shed: 50 x 100 / 80 = 62. At most half
    more at a time, because a shed request may be retried and counted again.
    """
    came = sum((tick.arrivals + tick.retried) * tick.seconds for tick in recent)
    counted = sum(tick.arrivals * tick.seconds for tick in recent)
    shed = sum(tick.shed * tick.seconds for tick in recent)
    taken = came - shed
    return in_flight * min(MAX_SHED_FACTOR, max(1.0, counted / taken)) if taken > 0 else in_flight
