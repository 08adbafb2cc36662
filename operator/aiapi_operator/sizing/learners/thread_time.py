"""Thread time t: the seconds that a request holds a thread, by pool, over the last minute.

Example: 100 requests per second that hold a thread for 0.3 s each keep 30 threads busy: t = 30 /
100.

While half or more of the completed requests fail, t does not change: calls that hang are not demand
for threads. The same holds while workers wait for a CPU, since their threads wait too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aiapi_operator.sizing.entry import Learner
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.learners.service_demand import TUNING as SERVICE
from aiapi_operator.sizing.state import Tick
from aiapi_operator.sizing.windows import MOSTLY


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadTime:
    """Thread seconds per request, by pool."""

    seconds: Mapping[str, float] = field(default_factory=dict)


def mostly_fails(tick: Tick) -> bool:
    """Whether most completed requests failed. They may be few of the arrivals: the others wait."""
    failed = tick.server_errors + tick.cancelled
    return failed > 0 and failed >= MOSTLY * tick.completed


def distorted(tick: Tick) -> bool:
    """Whether threads were busy for other reasons than the load."""
    return tick.contended or mostly_fails(tick)


def learn(known: ThreadTime | None, facts: Facts) -> ThreadTime | None:
    """Thread seconds per request, in the ticks that are not distorted."""
    tick = facts.tick
    if tick is None or not tick.threads or distorted(tick):
        return known
    sound = [each for each in facts.ticks if not distorted(each)]
    completed = sum(each.completed * each.seconds for each in sound)
    if completed < SERVICE.block:
        return known
    busy: dict[str, float] = {}
    for each in sound:
        for pool in each.threads:
            busy[pool.name] = busy.get(pool.name, 0.0) + pool.busy * each.seconds
    return ThreadTime(seconds={name: seconds / completed for name, seconds in busy.items()})


LEARNER = Learner(kind=ThreadTime, learn=learn)
