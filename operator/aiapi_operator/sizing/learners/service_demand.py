"""Service demand c: the loop seconds of a request.

    c = (loop time - idle work x workers) / requests

over the last minute, with older requests weighing less, and over no fewer than the last 200, so
that c stays known at low load. Idle work is the loop time of workers while no requests arrive.

Example: one minute at 100 rps on 4 workers, with 0.92 loop seconds per second, of which 0.02 are
idle work (0.005 per worker): c = (0.92 - 4 x 0.005) / 100 = 9 ms.

A block of 25 requests counts as at most three times and at least a third of the known cost: a
handler that once blocks a loop for 4 s is not the cost of a request. If three consecutive blocks
each cost a quarter more than c, and together more than chance explains, a deployment has changed
the service, and the new cost counts immediately. A lower cost is accepted only as the minute fills
with it: requests that return "not found" for a while are cheap, too.

Nothing is learned from ticks in which many requests failed or workers waited for a CPU; only while
c is unknown, such a tick gives a first value, which counts as one block at most. Part of the work
of requests in flight is done, so the requests of a tick are the mean of those that arrived and
those that completed; if a loop is full, those that completed.
"""

from dataclasses import dataclass, replace
from math import exp, sqrt
from typing import Any

from aiapi_operator.api.duration import format_duration, is_duration, parse_duration
from aiapi_operator.sizing.entry import Learner, Saved
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.learners.failures import failing
from aiapi_operator.sizing.state import SLOW_WINDOW, Tick
from aiapi_operator.sizing.windows import MIN_REQUESTS


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceDemandTuning:
    """Numbers of this learner."""

    block: float = 25.0
    """Requests in a block. The mean of 25 exponential costs is within 20 %."""
    outlier: float = 3.0
    """Factor on c up to which a block counts. Chosen: far above the 20 % of chance."""
    changed: float = 1.25
    """Factor on c from which a block costs more than before. One sigma of a block; three in a row
    must."""
    full: float = 0.8
    """Utilization of the busiest pod from which requests wait for the loop. Then arrivals are not
    the work done."""
    most_idle: float = 0.02
    """Share of a worker's time that idle work may take. Heartbeats and housekeeping take less."""


TUNING = ServiceDemandTuning()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceDemand:
    """The cost of a request: ``seconds`` of loop time (c)."""

    seconds: float
    requests: float = 0.0
    """Number of requests it is measured from; 0 if it is from a checkpoint."""
    idle: float = 0.0
    """Loop utilization of a worker without requests, 0..1."""
    block_work: float = 0.0
    block_requests: float = 0.0
    block_seconds: float = 0.0
    expensive_work: float = 0.0
    """Loop seconds and requests of the latest blocks that all cost more, and their number."""
    expensive_requests: float = 0.0
    expensive_blocks: int = 0

    @property
    def confident(self) -> bool:
        """Whether it is measured from enough requests since this operator started."""
        return self.requests >= MIN_REQUESTS


def learn(known: ServiceDemand | None, facts: Facts) -> ServiceDemand | None:
    """Add the newest tick."""
    tick = facts.tick
    if tick is None or tick.failing or (tick.contended and known is not None):
        return known
    if tick.arrivals + tick.completed <= 0.1:
        return _idle(known, tick)
    idle = 0.0 if known is None else known.idle
    requests = _requests(tick) * tick.seconds
    work = max(0.0, tick.loop - idle * tick.workers) * tick.seconds
    if known is None:
        if work <= 0 or requests <= 0:
            return None
        counted = min(requests, TUNING.block) if tick.contended else requests
        return ServiceDemand(seconds=work / requests, requests=counted)
    work, requests = known.block_work + work, known.block_requests + requests
    seconds = known.block_seconds + tick.seconds
    # What a checkpoint has stays until a whole block has come; one's own first ticks count singly.
    if requests <= 0 or (requests < TUNING.block and not 0 < known.requests < TUNING.block):
        return replace(known, block_work=work, block_requests=requests, block_seconds=seconds)
    return _add(known, facts, work, requests, seconds)


def _add(
    known: ServiceDemand, facts: Facts, work: float, requests: float, seconds: float
) -> ServiceDemand:
    """Learn from a complete block of requests."""
    expensive_work, expensive_requests, blocks = _expensive(known, work, requests)
    if blocks >= 3 and _sure(known, expensive_work, expensive_requests):
        cost = expensive_work / expensive_requests
        return ServiceDemand(seconds=cost, requests=expensive_requests, idle=known.idle)
    usual = known.seconds * requests
    if known.requests >= MIN_REQUESTS:
        work = min(TUNING.outlier * usual, max(usual / TUNING.outlier, work))
    # The requests of a minute, and never fewer than ``enough``.
    kept = known.requests * exp(-seconds / SLOW_WINDOW)
    kept = max(kept, min(known.requests, MIN_REQUESTS - requests), 0.0)
    total = kept + requests
    cost = (known.seconds * kept + work) / total
    keeps = failing(facts) and cost < known.seconds
    return ServiceDemand(
        seconds=known.seconds if keeps else max(cost, 1e-9),
        requests=known.requests if keeps else total,
        idle=known.idle,
        expensive_work=expensive_work,
        expensive_requests=expensive_requests,
        expensive_blocks=blocks,
    )


def _expensive(known: ServiceDemand, work: float, requests: float) -> tuple[float, float, int]:
    """Loop seconds, requests and number of the latest blocks that all cost more."""
    if work <= TUNING.changed * known.seconds * requests:
        return 0.0, 0.0, 0
    return (
        known.expensive_work + work,
        known.expensive_requests + requests,
        known.expensive_blocks + 1,
    )


def _sure(known: ServiceDemand, work: float, requests: float) -> bool:
    """Whether the blocks cost more than c by over three sigmas of exponential costs."""
    return work / requests > known.seconds * (1 + 3 * sqrt(2 / requests))


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


def checkpoint(known: ServiceDemand, _: Saved) -> dict[str, Any]:
    """``serviceDemand``, which the status has as ``need.serviceDemand``."""
    return {"serviceDemand": format_duration(known.seconds)}


def restore(saved: Saved) -> ServiceDemand | None:
    """Read ``serviceDemand`` back. It is not confident; over a minute it is an error."""
    text = saved.get("serviceDemand")
    if not isinstance(text, str) or not is_duration(text):
        return None
    seconds = parse_duration(text)
    return ServiceDemand(seconds=seconds) if 0 < seconds <= SLOW_WINDOW else None


LEARNER = Learner(
    kind=ServiceDemand, learn=learn, checkpoint=checkpoint, restore=restore, tuning=TUNING
)
