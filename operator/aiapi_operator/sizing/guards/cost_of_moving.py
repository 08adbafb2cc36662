"""Cost of moving: pods stay while one less would be cheaper, but not by more than the move costs.

The proposal already includes this (pods.py), so this guard changes nothing; it gives the reason.

Example: 3 pods x 1 run for a need of 0.8, which 2 pods x 1 carry. A pod is 0.6 cores. The move
costs 35 s of it, so the third pod stays until the need has been that low for more than 35 s.
"""

from aiapi_operator.sizing import plan
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.guards.guarded import Guarded
from aiapi_operator.sizing.guards.stabilization import held
from aiapi_operator.sizing.inputs import SizingSpec
from aiapi_operator.sizing.learners.need_history import NeedHistory
from aiapi_operator.sizing.plan import RequiredWorkers
from aiapi_operator.sizing.requirement import Requirements
from aiapi_operator.sizing.state import Size

WHY = "pods scale down once the saving exceeds the cost of moving"


def guard(size: Size, facts: Facts, needs: Requirements) -> Guarded | None:
    """The same fleet, with the reason, if one pod less would carry the need at a lower cost."""
    spec, fewer = facts.plannable, size.replicas - 1
    if size.replicas != facts.start.replicas:
        return None
    if fewer < max(1, spec.replicas.min, needs.min_replicas):
        return None
    need = needs.carry.times(1 + plan.CLOSE)
    if plan.workers_for(need, fewer) > spec.workers.max:
        return None
    floor = min(spec.workers.max, needs.min_workers)
    if _cost(spec, need, fewer, floor) >= _cost(spec, need, size.replicas, floor):
        return None
    history = facts.get(NeedHistory)
    unknown = history is not None and bool(history.running_replicas)
    return held(size, facts, young=unknown, why=WHY)


def _cost(spec: SizingSpec, need: RequiredWorkers, replicas: int, floor: int) -> float:
    each = max(floor, plan.fit(spec, need, replicas).workers)
    return plan.hourly_cost(spec, Size(workers=each, replicas=replicas))
