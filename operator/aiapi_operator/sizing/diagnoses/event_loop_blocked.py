"""EventLoopBlocked: a callback blocked an event loop for longer than the runtime's limit.

Reported for a minute, with file and line. A worker that does not get CPU looks the same, so nothing
is reported while pods wait for CPU.
"""

from dataclasses import dataclass, replace

from aiapi_operator.sizing.decision import Condition
from aiapi_operator.sizing.diagnoses.diagnosis import Diagnosis, condition
from aiapi_operator.sizing.entry import Learner
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.requirement import Requirements
from aiapi_operator.sizing.state import SLOW_WINDOW, Size

KIND = "EventLoopBlocked"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockedLoop:
    """A blocked event loop: when it was last observed, where, and in which pod."""

    time: float
    where: str
    pod: str


def learn(known: BlockedLoop | None, facts: Facts) -> BlockedLoop | None:
    """The latest blocked loop."""
    contended = bool(facts.ticks) and facts.ticks[-1].contended
    for sample in () if contended else facts.seen.samples:
        if sample.workers_blocked > 0:
            return BlockedLoop(time=facts.now, where=sample.blocked_at, pod=sample.pod)
    if known is None or known.time < facts.now - SLOW_WINDOW:
        return None
    return known if known.where else _located(known, facts)


def _located(known: BlockedLoop, facts: Facts) -> BlockedLoop:
    """With the place, which a pod may find out after it reported that a loop is blocked."""
    places = (each.blocked_at for each in facts.seen.samples if each.pod == known.pod)
    return replace(known, where=next(places, ""))


def check(facts: Facts, _: Requirements, __: Size) -> Condition:
    """Whether a loop is or was blocked."""
    blocked = facts.get(BlockedLoop)
    if blocked is None:
        if facts.seen.all_unknown:
            return condition(KIND, None, "NoData", "No ready pod can be scraped.")
        return condition(KIND, False, "LoopsTurn", "No event loop has been blocked recently.")
    where = blocked.where or "an unknown location"
    return condition(
        KIND,
        True,
        "BlockingCall",
        f"An event loop in pod {blocked.pod} was blocked at {where}: every request of that"
        " worker waited. Await an async version of the call, or move it to a thread with"
        " asyncio.to_thread.",
    )


DIAGNOSIS = Diagnosis(check, Learner(kind=BlockedLoop, learn=learn))
