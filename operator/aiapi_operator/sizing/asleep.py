"""Time without a pod: the right-sizer is not asked, and its state moves on. Pure.

Nobody calls ``decide`` while a fleet has no pods, because there is nothing to measure. Without this
the first decision after a wake-up would count all of that time as if the last fleet had run in it.
"""

from dataclasses import replace

from aiapi_operator.sizing.learners import usage
from aiapi_operator.sizing.learners.usage import Usage
from aiapi_operator.sizing.state import State


def asleep(state: State, now: float) -> State:
    """The state after time without a pod until ``now``."""
    if state.now is None or now <= state.now:
        return state
    known = usage.asleep(state.memory.get(Usage), now - state.now)
    return replace(state, now=now, memory={**state.memory, Usage: known})
