"""Computes the capacity: the highest loop utilization at which the objective still holds.

A worker's loop is a queue with one server. In an M/M/1 queue the time in the system is exponential
with mean c / (1 - rho) (Kleinrock, Queueing Systems I, 1975, section 3.2), so its percentile p is c
x ln(1 / (1 - p)) / (1 - rho). The part at rho = 0 belongs to the base latency b; the rest is the
queueing delay:

    delay(rho) = k x rho / (1 - rho)      with k = c x ln(1 / (1 - p))

Requests visit the loop several times, and loops are not equally busy, so the delay is multiplied by
a learned factor q (see queueing.py). The objective T holds while b + q x delay(rho) <= T, that is
up to

    rho* = slack / (slack + q x k)        with slack = T - b

Example: p95 within 800 ms, c = 9 ms, b = 750 ms, q = 1: k = 9 x 3.0 = 27 ms, slack = 50 ms, rho* =
50 / 77 = 0.65. With b = 300 ms it is 0.95, of which 0.85 is used: above that, a small error in the
demand causes a large delay. With two objectives, the lower of their rho* counts.

If the base alone misses the objective, no number of workers helps. Then the fleet is held at an
efficient rho, because more workers would cost more and change nothing. The same applies while the
base is above its calm level, so that an upstream that gets slower does not grow the fleet.
"""

from dataclasses import dataclass, field
from math import log

from aiapi_operator.sizing.inputs import LatencyObjective

HIGHEST = 0.85
"""Utilization that is planned at most. Above it a small error of the demand causes a large delay,
and loops may cause failures."""
VISITS = 1.5
"""Factor on the modeled delay, until it is measured. Two visits to the loop, before and after an
upstream call, make 1.5."""


@dataclass(frozen=True, slots=True)
class UtilizationTarget:
    """The utilization to plan for, and whether the objective is infeasible."""

    utilization: float
    infeasible: bool = False
    objective: LatencyObjective | None = field(default=None, repr=False)
    """The objective that it is for; None while too little is known."""


def tail(service: float, objective: LatencyObjective) -> float:
    """k: the loop's contribution to the objective's percentile at an idle loop, in seconds."""
    return service * log(1 / (1 - objective.percentile / 100))


def queueing_delay(service: float, objective: LatencyObjective, utilization: float) -> float:
    """The queueing delay at the objective's percentile, in seconds, by the model."""
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
    """The queueing delay at the objective's percentile, in seconds, as measured.

    Requests in flight that do not wait for an upstream are at a loop. By Little's law they stay
    there for (in flight - upstream) / arrivals seconds, of which c is their own work. 100 rps, 34
    in flight, 30 of them at an upstream, c = 10 ms: 40 ms at a loop, 30 ms of it queueing, and 3.0
    x 30 = 90 ms at p95. If upstream time is not measured, all of it counts as loop time.
    """
    if arrivals <= 0:
        return 0.0
    waits = (in_flight - upstream) / arrivals - service
    return max(0.0, waits) * log(1 / (1 - objective.percentile / 100))
