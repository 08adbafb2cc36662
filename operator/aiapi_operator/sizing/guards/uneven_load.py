"""Uneven load: a pod keeps the workers that its own load needs.

Connections are not moved: a pod that has just become ready has little load, and the others still
have nearly all of it. Example: three pods have the work of 2 loops each, and a fourth becomes
ready. The mean is 1.5, but the three need 2 workers each until connections have spread.
"""

from dataclasses import replace
from math import ceil

from aiapi_operator.sizing import windows
from aiapi_operator.sizing.decision import Verdict
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.guards.guarded import Guarded
from aiapi_operator.sizing.requirement import Requirements
from aiapi_operator.sizing.state import Size


def guard(size: Size, facts: Facts, needs: Requirements) -> Guarded | None:
    """No fewer workers than the pods with the most load need."""
    running = facts.base.workers
    if size.workers >= running:
        return None
    share = windows.heaviest(facts.ticks, now=facts.now, seconds=facts.spec.workers_down_after)
    heaviest = ceil(share * needs.carry.total - 1e-9)
    if size.workers >= heaviest:
        return None
    return Guarded(
        size=replace(size, workers=min(running, heaviest)),
        verdict=Verdict.STABILIZING,
        why="workers scale down once the load is even across pods",
    )
