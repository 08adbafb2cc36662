"""The utilization target rho*: how busy loops are planned to be. capacity.py has the formula.

Until c and the base latency are known well, it is at most 0.6. If the base latency alone misses the
objective, no number of workers helps, and loops are planned at an efficient 0.7. The same applies
while the base is above its calm level: a slow upstream never makes the fleet grow.

With two objectives the lower rho* counts: 0.74 for the latency, 0.62 for the first byte: 0.62.
"""

from dataclasses import dataclass

from aiapi_operator.sizing import capacity
from aiapi_operator.sizing.capacity import UtilizationTarget
from aiapi_operator.sizing.entry import Learner
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.inputs import LatencyObjective
from aiapi_operator.sizing.learners import queueing
from aiapi_operator.sizing.learners.base_first_byte import base as base_for
from aiapi_operator.sizing.learners.service_demand import ServiceDemand


@dataclass(frozen=True, slots=True, kw_only=True)
class UtilizationTuning:
    """Numbers of this entry."""

    lowest: float = 0.3
    """Utilization that is always planned. Chosen: bounds the cost of a tight objective."""
    efficient: float = 0.7
    """Utilization while the objective is infeasible. As Knative's default target percentage."""
    cautious: float = 0.6
    """Utilization while c or the base latency is uncertain. If c is 40 % too low, loops are at
    0.84."""
    near: float = 0.05
    """Share of the threshold below which the slack is zero. About the error of an interpolated
    percentile: buckets are 20 % apart."""


TUNING = UtilizationTuning()


CAUTIOUS = UtilizationTarget(utilization=TUNING.cautious)


def target(facts: Facts) -> UtilizationTarget:
    """The target of this tick."""
    return facts.get(UtilizationTarget) or CAUTIOUS


def learn(_: UtilizationTarget | None, facts: Facts) -> UtilizationTarget:
    """rho* from the current c, base latencies and queueing: the lowest of the objectives."""
    found = [_for_objective(facts, each) for each in facts.spec.objectives]
    return min(found, key=_utilization)


def _utilization(found: UtilizationTarget) -> float:
    return found.utilization


def _for_objective(facts: Facts, objective: LatencyObjective) -> UtilizationTarget:
    service = facts.get(ServiceDemand)
    base = base_for(facts, objective)
    if service is None or base is None:
        return CAUTIOUS
    slack = objective.threshold - base.current
    if slack < TUNING.near * objective.threshold:
        return UtilizationTarget(
            utilization=TUNING.efficient, infeasible=slack <= 0, objective=objective
        )
    k = queueing.planned(facts) * capacity.tail(service.seconds, objective)
    rho = slack / (slack + k)
    usual = max(0.0, objective.threshold - base.calm)
    rho = max(rho, min(TUNING.efficient, usual / (usual + k)))
    rho = min(capacity.HIGHEST, rho)
    if not service.confident:
        rho = min(rho, TUNING.cautious)
    return UtilizationTarget(utilization=max(TUNING.lowest, rho), objective=objective)


LEARNER = Learner(kind=UtilizationTarget, learn=learn, tuning=TUNING)
