"""Threads: a call that finds no free thread waits, although the loop is idle.

With t thread seconds per request (thread_time.py):

    threads = arrivals x t, at least the busy ones, at most the busy ones and the waiting calls

100 rps that hold a thread for 0.3 s each need 30 threads. If 200 rps arrive at a worker with 40,
133 rps complete and 40 threads are busy: t = 40 / 133 = 0.3 s, and 200 x 0.3 = 60 threads are
needed.

Only a part of a worker's threads is planned. Small pools need more spare threads: by square-root
staffing (Halfin and Whitt, 1981) n threads leave about sqrt(n) / 1.6 free, so that calls seldom
wait. 1 thread is planned at 37 %, 4 at 68 %, 10 and more at 80 %.
"""

from dataclasses import dataclass
from math import sqrt

from aiapi_operator.present.numbers import number
from aiapi_operator.sizing.counters import MOST
from aiapi_operator.sizing.decision import Binding
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.learners.demand import Demand
from aiapi_operator.sizing.learners.thread_time import ThreadTime, distorted
from aiapi_operator.sizing.needs.concurrency import growth
from aiapi_operator.sizing.requirement import Requirement
from aiapi_operator.sizing.state import FAST_WINDOW, ThreadUse
from aiapi_operator.sizing.windows import CHANCE, planned_share


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadPoolLoad:
    """A pool of threads: the threads that the load needs now, and its utilization."""

    name: str
    limit: int
    """Threads per worker."""
    needed: float
    """Threads that the load needs in the whole fleet."""
    busy: float
    waiting: float
    """Calls waiting for a thread."""
    utilization: float
    """Share of busy threads, 0..1."""

    @property
    def workers(self) -> float:
        """Workers for the needed threads."""
        return self.needed / (self.limit * planned_share(self.limit))


def busiest_pool(facts: Facts) -> ThreadPoolLoad | None:
    """The pool that needs the most workers; None if no threads are used."""
    pools = {pool.name: pool for tick in facts.recent for pool in tick.threads}
    if not pools:
        return None
    found = [_load(facts, pool) for pool in pools.values()]
    return max(found, key=lambda each: each.workers)


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
        # Calls of t seconds overlap, so this is what chance may add to the mean of the window.
        chance = CHANCE * sqrt(2 * busy * cost / max(span, FAST_WINDOW))
        least = 0.0 if any(map(distorted, facts.recent)) else max(0.0, busy - chance)
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
    """Workers for the expected busy threads."""
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
