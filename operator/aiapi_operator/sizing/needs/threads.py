"""Threads: a call that finds no free thread waits, while the loop is idle.

With t thread seconds per request (see thread_time.py):

    threads = arrivals x t, at least those that are busy, at most those and the calls that wait

100 per second, 0.3 s each: 30 threads. 200 per second come to a worker with 40: 133 are done, 40
threads are busy, t = 40 / 133 = 0.3 s, and 200 x 0.3 = 60 threads are needed.

Of a worker's threads a part is planned for. Few threads need more room than many: by square-root
staffing (Halfin and Whitt, 1981) n threads leave about sqrt(n) / 1.6 free, so that calls seldom
wait: 1 thread is planned at 37 %, 4 at 68 %, 10 and more at 80 %.
"""

from dataclasses import dataclass
from math import sqrt

from aiapi_operator.present.numbers import number
from aiapi_operator.sizing.decision import Binding
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.learners.demand import Demand
from aiapi_operator.sizing.learners.thread_time import ThreadTime, mostly_fails
from aiapi_operator.sizing.needs.concurrency import growth
from aiapi_operator.sizing.requirement import MOST, Requirement
from aiapi_operator.sizing.state import FAST_WINDOW, ThreadUse
from aiapi_operator.sizing.windows import planned_share

SIGMAS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadPoolLoad:
    """A pool of threads: what the load needs of it now, and how busy it is."""

    name: str
    limit: int
    """Threads in a worker."""
    needed: float
    """Threads that the load needs, in all workers together."""
    busy: float
    waiting: float
    """Calls that wait for a thread."""
    utilization: float
    """Share of the threads that is busy, 0..1."""

    @property
    def workers(self) -> float:
        """Workers for the threads that are needed."""
        return self.needed / (self.limit * planned_share(self.limit))


def busiest_pool(facts: Facts) -> ThreadPoolLoad | None:
    """The pool that needs the most workers; None where no threads are used."""
    pools = {pool.name: pool for tick in facts.recent for pool in tick.threads}
    found = [_load(facts, pool) for pool in pools.values()]
    return max(found, key=lambda each: each.workers, default=None)


def _load(facts: Facts, pool: ThreadUse) -> ThreadPoolLoad:
    parts = [
        (each, tick.seconds, tick.workers)
        for tick in facts.recent
        for each in tick.threads
        if each.name == pool.name
    ]
    span = sum(seconds for _, seconds, _ in parts)
    busy = sum(each.busy * seconds for each, seconds, _ in parts) / span
    waiting = sum(each.waiting * seconds for each, seconds, _ in parts) / span
    there = pool.limit * sum(workers * seconds for _, seconds, workers in parts) / span
    most = max(busy + waiting, pool.busy + pool.waiting)
    known, demand = facts.get(ThreadTime), facts.get(Demand)
    cost = None if known is None else known.seconds.get(pool.name)
    needed = busy
    if cost is not None and demand is not None:
        # Calls that last t overlap: so much may chance have added to the mean of the window.
        chance = SIGMAS * sqrt(2 * busy * cost / max(span, FAST_WINDOW))
        least = 0.0 if any(map(mostly_fails, facts.recent)) else max(0.0, busy - chance)
        needed = min(max(least, demand.level * cost), most + chance)
    return ThreadPoolLoad(
        name=pool.name,
        limit=pool.limit,
        needed=needed,
        busy=busy,
        waiting=waiting,
        utilization=min(1.0, busy / there) if there > 0 else 0.0,
    )


def need(facts: Facts, lead: float) -> Requirement | None:
    """Workers for the threads that will be busy."""
    pool = busiest_pool(facts)
    if pool is None:
        return None
    busy, share = pool.needed * growth(facts, lead), planned_share(pool.limit)
    per_worker = f"({pool.limit} per worker x {number(share, 2)})"
    return Requirement(
        binding=Binding.THREADS,
        reason=f"{number(busy)} busy threads ({pool.name}) expected / {per_worker}",
        workers=min(MOST, busy / (pool.limit * share)),
        survivors=min(MOST, busy / pool.limit),
    )
