"""Capacity: the highest loop utilisation at which the objective still holds.

A worker's loop is a queue with one server. In an M/M/1 queue the time in the system is
exponential with mean c / (1 - rho) (Kleinrock, Queueing Systems I, 1975, section 3.2), so its
percentile p is  c x ln(1 / (1 - p)) / (1 - rho). What of it is there at rho = 0 is part of the
base latency b; the rest is the price of a busy loop:

    queueing_delay(rho) = k x rho / (1 - rho)      with k = c x ln(1 / (1 - p))

A request comes back to the loop after each wait, and loops are not all as busy as their mean, so
the delay is q times that, with q learned from the latency (see queueing.py). The objective T holds
while b + q x queueing_delay(rho) <= T, that is up to

    rho* = slack / (slack + q x k)        with slack = T - b

p95 within 800 ms, c = 9 ms, b = 750 ms, q = 1: k = 9 x 3.0 = 27 ms, slack = 50 ms,
rho* = 50 / 77 = 0.65, less 2 % for what the demand may be off. With b = 300 ms it is 0.95, of
which 0.80 is used: above that a small error in the demand is a large one in the delay.

If the base alone misses the objective no number of workers helps. Then the fleet is held at
an efficient rho, for more of it would cost and change nothing. The same while the base is above
its calm level: an upstream that gets slower never makes the fleet grow on its way there.
"""

from dataclasses import dataclass
from math import log

from aiapi_operator.sizing.inputs import LatencyObjective
from aiapi_operator.sizing.state import BaseLatency, ServiceDemand

MIN_UTILIZATION = 0.3
MAX_UTILIZATION = 0.8
INFEASIBLE_UTILIZATION = 0.7
"""Where the objective is out of reach anyway."""
CAUTIOUS_UTILIZATION = 0.6
"""While c or the base latency is not known well."""
NEAR = 0.05
"""A base this close under the threshold (as a part of it) is within the histogram's error."""
ERROR = 0.02
"""Part by which the demand may be more than expected without a miss of the objective."""


@dataclass(frozen=True, slots=True)
class UtilizationTarget:
    """The utilisation to plan for, and whether the objective can be met at all."""

    utilization: float
    infeasible: bool


def tail(service: float, objective: LatencyObjective) -> float:
    """k: the loop's part of the objective's percentile at an idle loop, in seconds."""
    return service * log(1 / (1 - objective.percentile / 100))


def queueing_delay(service: float, objective: LatencyObjective, utilization: float) -> float:
    """What queueing for the loop adds to the objective's percentile."""
    rho = min(utilization, 0.99)
    return tail(service, objective) * rho / (1 - rho)


def measured_queueing_delay(
    service: float,
    objective: LatencyObjective,
    *,
    arrivals: float,
    in_flight: float,
    upstream: float,
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


def target(
    objective: LatencyObjective,
    *,
    service: ServiceDemand | None,
    base_latency: BaseLatency | None,
    queueing: float,
) -> UtilizationTarget:
    """rho*, between 0.3 and 0.8. ``queueing`` is q, margin included."""
    if service is None or base_latency is None:
        return UtilizationTarget(CAUTIOUS_UTILIZATION, infeasible=False)
    slack = objective.threshold - base_latency.current
    if slack < NEAR * objective.threshold:
        return UtilizationTarget(INFEASIBLE_UTILIZATION, infeasible=slack <= 0)
    k = queueing * tail(service.seconds, objective)
    rho = slack / (slack + k)
    usual = max(0.0, objective.threshold - base_latency.calm)
    # A base above its calm level is an upstream's doing. Idle loops would buy little of it back,
    # at a multiple of the fleet: they are kept for a base that stays.
    rho = max(rho, min(INFEASIBLE_UTILIZATION, usual / (usual + k)))
    rho = min(MAX_UTILIZATION, rho / (1 + ERROR))
    if not service.confident:
        rho = min(rho, CAUTIOUS_UTILIZATION)
    return UtilizationTarget(max(MIN_UTILIZATION, rho), infeasible=False)
