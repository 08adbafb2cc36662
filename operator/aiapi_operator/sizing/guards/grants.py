"""No more workers than some pod can have: nodes, limits and quotas refuse the resize for them."""

from dataclasses import replace

from aiapi_operator.present.numbers import count
from aiapi_operator.sizing import granted
from aiapi_operator.sizing.decision import Verdict
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.guards.guarded import Guarded
from aiapi_operator.sizing.requirement import Requirements
from aiapi_operator.sizing.state import Size


def guard(size: Size, facts: Facts, _: Requirements) -> Guarded | None:
    """The workers that pods can have."""
    most = granted.most(facts.spec, facts.fleet)
    if size.workers <= most:
        return None
    return Guarded(
        size=replace(size, workers=most),
        verdict=Verdict.LIMITED,
        why=f"pods cannot have more than {count(most, 'worker')} each, see ResizeDeferred",
    )
