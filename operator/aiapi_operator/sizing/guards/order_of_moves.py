"""Order of moves: when fewer pods need more workers each, workers are added before pods are
removed."""

from dataclasses import replace

from aiapi_operator.sizing.decision import Verdict
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.guards.guarded import Guarded
from aiapi_operator.sizing.requirement import Requirements
from aiapi_operator.sizing.state import Size


def guard(size: Size, facts: Facts, _: Requirements) -> Guarded | None:
    """No fewer pods until every ready pod has its workers."""
    start = facts.start
    if size.replicas >= start.replicas:
        return None
    if size.workers <= min((s.workers_ready for s in facts.seen.samples if s.ready), default=0):
        return None
    return Guarded(
        size=replace(size, replicas=start.replicas),
        verdict=Verdict.STABILIZING,
        why="pods scale down once the others have their workers",
    )
