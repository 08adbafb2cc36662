"""The utilization target rho*: how busy loops may be. capacity.py has the formula.

Not known well: 0.6 until c and the base latency are. If the base latency alone misses the objective
no number of workers helps; loops are planned at an efficient 0.7, since more workers would cost and
change nothing. The same while the base is above its calm level: a slow upstream never makes the
fleet grow.
"""

from dataclasses import dataclass

from aiapi_operator.sizing import capacity
from aiapi_operator.sizing.capacity import UtilizationTarget
from aiapi_operator.sizing.entry import Learner
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.learners import queueing
from aiapi_operator.sizing.learners.base_latency import BaseLatency
from aiapi_operator.sizing.learners.service_demand import ServiceDemand


@dataclass(frozen=True, slots=True, kw_only=True)
class UtilizationTuning:
    """Numbers of this entry."""

    lowest: float = 0.3
    highest: float = 0.85
    """Above it a small error in the demand is a large one in the delay."""
    efficient: float = 0.7
    """Where the objective is out of reach."""
    cautious: float = 0.6
    """While c or the base latency is not known well."""
    near: float = 0.05
    """A base this close under the threshold (as a share of it) is within the histogram's error."""


TUNING = UtilizationTuning()


CAUTIOUS = UtilizationTarget(utilization=TUNING.cautious)


def target(facts: Facts) -> UtilizationTarget:
    """What to plan loops for in this tick."""
    return facts.get(UtilizationTarget) or CAUTIOUS


def learn(_: UtilizationTarget | None, facts: Facts) -> UtilizationTarget:
    """rho* by what is known now."""
    objective = facts.spec.objective
    service = facts.get(ServiceDemand)
    base = facts.get(BaseLatency)
    if service is None or base is None:
        return CAUTIOUS
    slack = objective.threshold - base.current
    if slack < TUNING.near * objective.threshold:
        return UtilizationTarget(utilization=TUNING.efficient, infeasible=slack <= 0)
    k = queueing.planned(facts) * capacity.tail(service.seconds, objective)
    rho = slack / (slack + k)
    usual = max(0.0, objective.threshold - base.calm)
    rho = max(rho, min(TUNING.efficient, usual / (usual + k)))
    rho = min(TUNING.highest, rho)
    if not service.confident:
        rho = min(rho, TUNING.cautious)
    return UtilizationTarget(utilization=max(TUNING.lowest, rho))


LEARNER = Learner(kind=UtilizationTarget, learn=learn, tuning=TUNING)
