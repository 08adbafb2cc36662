"""Service demand c: the loop seconds that a request costs.

    c = (loop time - idle work x workers) / requests

over the last minute, older requests counting ever less (and never fewer than the last 200, so
that a quiet service remembers what a request costs). Idle work is what workers spend while no
requests come.

One minute at 100 requests/s on 4 workers, 0.92 loop seconds per second of which 0.02 are idle work
(0.005 per worker): c = (0.92 - 4 x 0.005) / 100 = 9 ms.

A tick counts as no more than three times and no less than a third of the known cost: a handler
that blocks a loop once for 4 s is not what a request costs. When three blocks of requests in a row
each cost a quarter more than c, and so much more together that chance does not explain it, a deploy
changed the service: the new cost is taken at once. A cost that falls is believed as the minute
fills with it, since requests that answer "not found" for a while are cheap, too.

Nothing is learned from ticks in which many requests failed or pods waited for CPU. Of requests in
flight part of the work is done, so a tick's requests are the mean of those that came and those
that ended; when a loop is full, those that ended.
"""

from dataclasses import dataclass, replace
from math import exp, sqrt

from aiapi_operator.api.duration import is_duration, parse_duration
from aiapi_operator.sizing.entry import Learner, Saved
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.learners.failures import failing
from aiapi_operator.sizing.state import SLOW_WINDOW, Tick


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceDemandTuning:
    """Numbers of this learner."""

    enough: float = 200.0
    """Requests for a c that is known well: the mean of 200 exponential costs is within 7 %."""
    block: float = 25.0
    """Requests that are judged together."""
    outlier: float = 3.0
    """Factor on c up to which a block counts."""
    changed: float = 1.25
    """Factor on c from which a block costs more than before."""
    full: float = 0.8
    """Utilization of the busiest pod from which requests wait for the loop."""
    most_idle: float = 0.02
    """Share of a worker's time. Heartbeats and housekeeping take well under this."""
    longest: float = 60.0
    """Loop seconds. A checkpoint with more is an error."""


TUNING = ServiceDemandTuning()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceDemand:
    """What a request costs: ``seconds`` of loop time (c)."""

    seconds: float
    requests: float = 0.0
    """Requests that it is known from; 0 when it is from a checkpoint."""
    idle: float = 0.0
    """Loop time a worker spends without any request, 0..1."""
    block_work: float = 0.0
    block_requests: float = 0.0
    block_seconds: float = 0.0
    expensive_work: float = 0.0
    """Loop seconds and requests of the last blocks that all cost more, and how many."""
    expensive_requests: float = 0.0
    expensive_blocks: int = 0

    @property
    def confident(self) -> bool:
        """Known from enough requests of this process's own time."""
        return self.requests >= TUNING.enough


def learn(known: ServiceDemand | None, facts: Facts) -> ServiceDemand | None:
    """Add the newest tick."""
    tick = facts.tick
    if tick is None or tick.failing or tick.contended:
        return known
    if tick.arrivals + tick.completed <= 0.1:
        return _idle(known, tick)
    idle = 0.0 if known is None else known.idle
    requests = _requests(tick) * tick.seconds
    work = max(0.0, tick.loop - idle * tick.workers) * tick.seconds
    if known is None:
        known = ServiceDemand(seconds=work / requests if requests > 0 else 0.0)
        if known.seconds <= 0:
            return None
    held = replace(
        known,
        block_work=known.block_work + work,
        block_requests=known.block_requests + requests,
        block_seconds=known.block_seconds + tick.seconds,
    )
    if held.block_requests < TUNING.block and known.requests >= TUNING.block:
        return held
    return _add(held, facts)


def _add(known: ServiceDemand, facts: Facts) -> ServiceDemand:
    """Take in the block of requests that is complete."""
    work, requests, seconds = known.block_work, known.block_requests, known.block_seconds
    if requests <= 0:
        return known
    known = replace(known, block_work=0.0, block_requests=0.0, block_seconds=0.0)
    known = _expensive(known, work, requests)
    if known.expensive_blocks >= 3 and _sure(known):
        cost = known.expensive_work / known.expensive_requests
        return ServiceDemand(seconds=cost, requests=known.expensive_requests, idle=known.idle)
    usual = known.seconds * requests
    if known.requests >= TUNING.enough:
        work = min(TUNING.outlier * usual, max(usual / TUNING.outlier, work))
    # A minute of requests, and never fewer than ``enough``.
    kept = known.requests * exp(-seconds / SLOW_WINDOW)
    kept = max(kept, min(known.requests, TUNING.enough - requests), 0.0)
    total = kept + requests
    cost = (known.seconds * kept + work) / total
    if failing(facts) and cost < known.seconds:
        return known
    return replace(known, seconds=max(cost, 1e-9), requests=total)


def _expensive(known: ServiceDemand, work: float, requests: float) -> ServiceDemand:
    if work <= TUNING.changed * known.seconds * requests:
        return replace(known, expensive_work=0.0, expensive_requests=0.0, expensive_blocks=0)
    return replace(
        known,
        expensive_work=known.expensive_work + work,
        expensive_requests=known.expensive_requests + requests,
        expensive_blocks=known.expensive_blocks + 1,
    )


def _sure(known: ServiceDemand) -> bool:
    """The expensive blocks cost more than three sigmas of exponential costs explain."""
    cost = known.expensive_work / known.expensive_requests
    return cost > known.seconds * (1 + 3 * sqrt(2 / known.expensive_requests))


def _idle(known: ServiceDemand | None, tick: Tick) -> ServiceDemand | None:
    if known is None or tick.workers <= 0:
        return known
    share = min(TUNING.most_idle, tick.loop / tick.workers)
    weight = 1 - exp(-tick.seconds / SLOW_WINDOW)
    return replace(known, idle=known.idle + weight * (share - known.idle))


def _requests(tick: Tick) -> float:
    if tick.busiest >= TUNING.full:
        return tick.completed
    return (tick.completed + max(0.0, tick.arrivals - tick.shed)) / 2


def restore(saved: Saved) -> ServiceDemand | None:
    """Read ``serviceDemand`` back, without confidence."""
    text = saved.get("serviceDemand")
    if not isinstance(text, str) or not is_duration(text):
        return None
    seconds = parse_duration(text)
    return ServiceDemand(seconds=seconds) if 0 < seconds <= TUNING.longest else None


LEARNER = Learner(kind=ServiceDemand, learn=learn, restore=restore, tuning=TUNING)
