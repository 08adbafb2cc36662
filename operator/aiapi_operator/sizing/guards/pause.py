"""Pause: ``scaling.mode: Paused`` keeps the running fleet."""

from aiapi_operator.sizing.decision import Verdict
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.guards.guarded import Guarded
from aiapi_operator.sizing.inputs import Mode
from aiapi_operator.sizing.requirement import Requirements
from aiapi_operator.sizing.state import Size


def guard(_: Size, facts: Facts, __: Requirements) -> Guarded | None:
    """The running fleet."""
    if facts.spec.mode is not Mode.PAUSED:
        return None
    return Guarded(size=facts.running, verdict=Verdict.PAUSED, why="paused by spec.scaling.mode")
