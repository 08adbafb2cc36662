"""Bounds: replicas.max and workers.max."""

from aiapi_operator.present.numbers import count
from aiapi_operator.sizing.decision import Verdict
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.guards.guarded import Guarded
from aiapi_operator.sizing.propose import clamp
from aiapi_operator.sizing.requirement import Requirements
from aiapi_operator.sizing.state import Size


def guard(size: Size, facts: Facts, needs: Requirements) -> Guarded | None:
    """The nearest fleet within the bounds."""
    allowed, spec = clamp(facts, size), facts.plannable
    short = needs.carry.total > spec.workers.max * spec.replicas.max
    if allowed == size and not short:
        return None
    return Guarded(
        size=allowed,
        verdict=Verdict.LIMITED,
        why=f"the maximum is {count(spec.replicas.max, 'pod')} x {spec.workers.max}",
    )
