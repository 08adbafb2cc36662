"""GUARDS: what prevents a change. Each entry is one file: a proposed fleet in, an allowed fleet
out.

They run in this order, so a later one overrides an earlier one. If the fleet does not change, the
last guard that changed the proposal gives the reason. Removing an entry from the list removes it
from the system.
"""

from aiapi_operator.sizing.guards import (
    bounds,
    cost_of_moving,
    freshness,
    grants,
    order_of_moves,
    pause,
    rate_limit,
    stabilization,
    uneven_load,
)
from aiapi_operator.sizing.guards.guarded import Guard

GUARDS = (
    Guard(cost_of_moving.guard),
    Guard(uneven_load.guard),
    Guard(stabilization.guard_workers),
    Guard(stabilization.guard_replicas),
    Guard(order_of_moves.guard),
    Guard(rate_limit.guard, rate_limit.LEARNER),
    Guard(freshness.guard),
    Guard(bounds.guard),
    Guard(grants.guard),
    Guard(pause.guard),
)
