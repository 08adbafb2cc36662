"""A look at a fleet at rest, which has had nothing to do since the last tick. Pure.

``decide`` would repeat its last decision, so it is not called. The tick before counts once more for
what is learned from time alone: the costs, the daily profile and the windows of recent ticks. The
next decision then measures from this look on. Example: after 40 s at rest, 100 requests arrive
within 10 s. They count as 10 per second, and not as 2.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import inf
from operator import attrgetter, sub

from aiapi_operator.sizing import windows
from aiapi_operator.sizing.inputs import PodSample
from aiapi_operator.sizing.learners import daily_profile, usage
from aiapi_operator.sizing.learners.daily_profile import DailyProfile
from aiapi_operator.sizing.learners.usage import Usage
from aiapi_operator.sizing.state import SLOW_WINDOW, State

BUSY = 0.1
"""Share of the time for which event loops may work at rest. Chosen: well below each target
utilization, and above what the runtime and timers of an app take."""
_DONE = attrgetter(
    *("pod", "instance", "workers_wanted", "latency", "first_byte"),
    *("succeeded", "client_errors", "server_errors", "cancelled", "shed"),
)
_LOOP, _WORKER = attrgetter("loop_seconds"), attrgetter("worker_seconds")


def is_at_rest(state: State, samples: Sequence[PodSample]) -> bool:
    """Whether these are the pods of the last tick, and nothing has happened to them since."""
    before = state.samples
    if not state.ticks or list(map(_DONE, samples)) != list(map(_DONE, before)):
        return False
    worked, passed = (
        sum(map(sub, map(counter, samples), map(counter, before))) for counter in (_LOOP, _WORKER)
    )
    return (
        0 <= worked <= BUSY * passed and not _fails(state) and all(map(_is_newer, samples, before))
    )


def _fails(state: State) -> bool:
    """Whether this time counts as one in which the fleet failed its users."""
    known = state.memory.get(Usage) or Usage()
    return usage.fails(known.missing, state.memory)


def _is_newer(sample: PodSample, last: PodSample) -> bool:
    """An answer that is repeated says nothing."""
    return sample.time > last.time and (sample.uptime or inf) > (last.uptime or 0.0)


def at_rest(
    state: State, samples: Sequence[PodSample], now: float, time_of_day: float | None
) -> State:
    """The state after this look, at which the fleet was at rest."""
    elapsed = 0.0 if state.now is None else now - state.now
    if state.last is None or elapsed <= 0:
        return state
    tick = replace(state.ticks[-1], time=now, seconds=min(SLOW_WINDOW, elapsed))
    memory = dict(state.memory)
    memory[Usage] = usage.at_rest(memory.get(Usage), state.last.size, elapsed)
    profile = daily_profile.add(memory.get(DailyProfile), tick, time_of_day)
    if profile is not None:
        memory[DailyProfile] = profile
    return replace(
        state,
        now=now,
        samples=tuple(samples),
        columns=(),
        ticks=windows.append(state.ticks, tick, now=now),
        memory=memory,
    )
