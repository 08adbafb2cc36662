"""Capacity: the highest loop utilisation at which the objective still holds.

A worker's loop is a queue with one server. In an M/M/1 queue the time in the system is
exponential with mean c / (1 - rho) (Kleinrock, Queueing Systems I, 1975, section 3.2), so its
percentile p is  c x ln(1 / (1 - p)) / (1 - rho). What of it is there at rho = 0 is part of the
base latency b; the rest is the price of a busy loop:

    delay(rho) = k x rho / (1 - rho)      with k = c x ln(1 / (1 - p))

The objective T holds while b + delay(rho) <= T, that is up to

    rho* = slack / (slack + k)            with slack = T - b

p95 within 800 ms, c = 9 ms, b = 750 ms: k = 9 x 3.0 = 27 ms, slack = 50 ms,
rho* = 50 / 77 = 0.65. With b = 300 ms it is 0.95, of which 0.80 is used: above that a small
error in the demand is a large one in the delay.

If the base alone misses the objective no number of workers helps. Then the fleet is held at
an efficient rho, for more of it would cost and change nothing. The same while the base is above
its calm level: an upstream that gets slower never makes the fleet grow on its way there.
"""

from dataclasses import dataclass, replace
from math import exp, log

from aiapi_operator.sizing import histogram, windows
from aiapi_operator.sizing.inputs import Objective
from aiapi_operator.sizing.state import BaseLatency, ServiceDemand, Tick

LOWEST = 0.3
HIGHEST = 0.8
EFFICIENT = 0.7
"""Where the objective is out of reach anyway."""
CAUTIOUS = 0.6
"""While c or the base latency is not known well."""
NEAR = 0.05
"""A base this close under the threshold (as a part of it) is within the histogram's error."""
IDLE_ENOUGH = 0.5
"""Utilisation of the busiest pod up to which the delay above is small and the model good."""
FEWEST = 50
"""Requests for a base latency."""
CALM_RISES = 600.0
CALM_FALLS = 20.0
"""Seconds in which the calm level comes to 1/e of a higher or lower base."""
LEAST_CORRECTION = 0.5
CORRECTS = 20.0
"""Seconds of latencies that a correction hangs on: a third of the windows that are promised."""
BACK_OFF = 0.95
PROBE = 0.005
COMFORTABLE = 0.9
"""Part of the threshold under which loops may be busier."""
FULL_LOAD = 0.95
"""Part of the planned utilisation from which loops are as busy as planned."""


@dataclass(frozen=True, slots=True)
class Target:
    """The utilisation to plan for, and whether the objective can be met at all."""

    utilization: float
    infeasible: bool


def tail(service: float, objective: Objective) -> float:
    """k: the loop's part of the objective's percentile at an idle loop, in seconds."""
    return service * log(1 / (1 - objective.percentile / 100))


def delay(service: float, objective: Objective, utilization: float) -> float:
    """What queueing for the loop adds to the objective's percentile."""
    rho = min(utilization, 0.99)
    return tail(service, objective) * rho / (1 - rho)


def queued(
    service: float, objective: Objective, *, arrivals: float, in_flight: float, upstream: float
) -> float:
    """What queueing for the loop adds to the objective's percentile, by what was measured.

    Requests that are in flight and do not wait for an upstream are at a loop. By Little's law
    they are there for (in flight - upstream) / arrivals seconds, of which c is their own.
    100 a second, 34 in flight, 30 of them at an upstream, c = 10 ms: 40 ms at a loop, 30 ms of
    it in a queue, and 3.0 x 30 = 90 ms at p95. Where upstream time is not measured it is all
    taken for the loop's.
    """
    if arrivals <= 0:
        return 0.0
    waits = (in_flight - upstream) / arrivals - service
    return max(0.0, waits) * log(1 / (1 - objective.percentile / 100))


def base(
    ticks: tuple[Tick, ...],
    *,
    objective: Objective,
    service: ServiceDemand | None,
    last: BaseLatency | None,
    now: float,
) -> BaseLatency | None:
    """The latency that the loop has no part in, from ticks in which it was idle enough."""
    if last is not None and last.percentile != objective.percentile:
        last = None
    idle = windows.undisturbed(ticks, limit=IDLE_ENOUGH)
    bounds, counts = windows.latencies(idle)
    read = histogram.percentile(bounds, counts, objective.percentile)
    if read is None or sum(counts) < FEWEST:
        return last
    rho = windows.mean(idle, "busiest")
    queueing = 0.0 if service is None else delay(service.seconds, objective, rho)
    value = max(0.0, read.seconds - queueing)
    calm = value if last is None else _calm(last, value, now)
    return BaseLatency(percentile=objective.percentile, now=value, calm=calm, time=now)


def _calm(last: BaseLatency, value: float, now: float) -> float:
    seconds = CALM_RISES if value > last.calm else CALM_FALLS
    weight = 1 - exp(-max(0.0, now - last.time) / seconds)
    return last.calm + weight * (value - last.calm)


def target(
    objective: Objective,
    *,
    service: ServiceDemand | None,
    base_latency: BaseLatency | None,
    correction: float,
) -> Target:
    """rho*, between 0.3 and 0.8."""
    if service is None or base_latency is None:
        return Target(max(LOWEST, CAUTIOUS * correction), infeasible=False)
    slack = objective.threshold - base_latency.now
    if slack < NEAR * objective.threshold:
        return Target(EFFICIENT, infeasible=slack <= 0)
    k = tail(service.seconds, objective)
    rho = slack / (slack + k)
    usual = max(0.0, objective.threshold - base_latency.calm)
    # A base above its calm level is an upstream's doing. Idle loops would buy little of it back,
    # at a multiple of the fleet: they are kept for a base that stays.
    rho = max(rho, min(EFFICIENT, usual / (usual + k)))
    rho = min(HIGHEST, rho) * correction
    if not service.confident:
        rho = min(rho, CAUTIOUS)
    return Target(max(LOWEST, rho), infeasible=False)


@dataclass(frozen=True, slots=True)
class Correction:
    """A factor on rho*, and when it was last changed."""

    factor: float
    time: float


def correct(
    last: Correction, *, ratio: float, load: float, objective_in_reach: bool, now: float
) -> Correction:
    """Learn from what the latency did: back off fast, probe slowly, rest in between.

    ``ratio`` is the percentile over the threshold and ``load`` the loops' utilisation over the
    planned one, both of the last ``CORRECTS`` seconds. Over 1 with loops no busier than planned:
    x 0.95. Under 0.9 with loops as busy as planned: + 0.005. Each at most every 20 s. A loop that
    is busier than planned is short of workers, and one that is less busy shows nothing of rho*;
    neither does a latency that would have missed without any queue at the loop.
    """
    if not objective_in_reach or now - last.time < CORRECTS:
        return last
    if ratio > 1 and FULL_LOAD - 2 * NEAR <= load <= 1 + NEAR:
        return replace(last, factor=max(LEAST_CORRECTION, last.factor * BACK_OFF), time=now)
    if ratio < COMFORTABLE and load >= FULL_LOAD:
        return replace(last, factor=min(1.0, last.factor + PROBE), time=now)
    return last
