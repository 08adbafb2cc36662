"""Cost of moving: pods stay while one less would be cheaper, but not by more than the move costs.

The proposal already includes this (pods.py), so this guard changes nothing; it gives the reason.

Example: 3 pods x 1 run for a need of 0.8, which 2 pods x 1 carry. A pod is 0.6 cores. The move
costs 35 s of it, so the third pod stays until the need has been that low for more than 35 s.
"""

from dataclasses import replace

from aiapi_operator.sizing import plan
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.guards.guarded import Guarded
from aiapi_operator.sizing.guards.stabilization import held
from aiapi_operator.sizing.inputs import Bounds, SizingSpec
from aiapi_operator.sizing.learners.need_history import NeedHistory
from aiapi_operator.sizing.plan import RequiredWorkers
from aiapi_operator.sizing.propose import clamp
from aiapi_operator.sizing.requirement import Requirements
from aiapi_operator.sizing.state import Size

WHY = "pods scale down once the saving exceeds the cost of moving"


def guard(size: Size, facts: Facts, needs: Requirements) -> Guarded | None:
    """The same fleet, with the reason, if one pod less would carry the need at a lower cost."""
    spec, fewer = facts.plannable, size.replicas - 1
    if size.replicas != clamp(facts, facts.base).replicas:
        return None
    if fewer < max(1, spec.replicas.min, needs.min_replicas):
        return None
    spec = _floored(spec, needs.min_workers)
    need = needs.carry.times(1 + plan.CLOSE)
    if plan.workers_for(need, fewer) > spec.workers.max:
        return None
    if _cost(spec, need, fewer) >= _cost(spec, need, size.replicas):
        return None
    history = facts.get(NeedHistory)
    unknown = history is not None and bool(history.running_replicas)
    return held(size, facts, young=unknown, why=WHY)


def _floored(spec: SizingSpec, workers: int) -> SizingSpec:
    low = min(spec.workers.max, max(spec.workers.min, workers))
    return replace(spec, workers=Bounds(min=low, max=spec.workers.max))


def _cost(spec: SizingSpec, need: RequiredWorkers, replicas: int) -> float:
    return plan.hourly_cost(spec, plan.fit(spec, need, replicas))
