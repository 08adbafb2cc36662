"""CPUContended: workers are ready to run and wait for a CPU, so times measured there are too long.

True after pods were contended for 10 s, false after 30 s without (see loop_work.py). Loop time is
corrected by the wait, and nothing is learned from it meanwhile, so that a noisy neighbor does not
order workers that would only wait as well.
"""

from aiapi_operator.present.numbers import percent
from aiapi_operator.sizing import latch, windows
from aiapi_operator.sizing.decision import Condition
from aiapi_operator.sizing.diagnoses.diagnosis import Diagnosis, condition
from aiapi_operator.sizing.entry import Learner
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.loop_work import IGNORED
from aiapi_operator.sizing.requirement import Requirements
from aiapi_operator.sizing.state import Latch, Size

KIND = "CPUContended"


class ContendedLatch(Latch):
    """Whether workers wait for a CPU."""


def learn(known: ContendedLatch | None, facts: Facts) -> ContendedLatch | None:
    """The finding with hysteresis."""
    if facts.tick is None:
        return known
    crowded = [bool(tick.crowded) for tick in facts.recent]
    finding = True if all(crowded) else None if any(crowded) else False
    turned = latch.update(
        known or ContendedLatch(),
        finding,
        now=facts.now,
        on_after=latch.AFTER,
        off_after=3 * latch.AFTER,
    )
    return ContendedLatch(on=turned.on, since=turned.since)


def check(facts: Facts, _: Requirements, __: Size) -> Condition:
    """Whether pods lack CPU."""
    known = facts.get(ContendedLatch)
    if not facts.known:
        return condition(KIND, None, "NoData", "No pod can be scraped.")
    if known is not None and known.on:
        return condition(KIND, True, "WaitingForCPU", _message(facts))
    if not facts.ticks[-1].waits_known:
        return condition(
            KIND,
            None,
            "NotMeasured",
            "Pods do not report how long workers wait for a CPU: their kernel does not measure it"
            " (/proc/PID/task/TID/schedstat), or their runtime is older. Where the kernel does not,"
            " only the CPU time of event loops counts as load.",
        )
    return condition(KIND, False, "CPUAvailable", "Workers get a CPU when they need one.")


def _message(facts: Facts) -> str:
    workers = max(1e-9, windows.mean(facts.ticks, "workers"))
    waited = windows.mean(facts.ticks, "waited") / workers
    pods = next((tick.crowded for tick in reversed(facts.ticks) if tick.crowded), ())
    named = ", ".join(f"{name} {percent(share)}" for name, share in pods)
    text = (
        f"Workers waited for a CPU for {percent(waited)} of the last minute (most in {named}), so"
        " requests are slow. Raise workers.cpu, or move the pods to nodes with free CPU. More"
        " workers in the same pods do not help, so none are added for it."
    )
    if windows.mean(facts.ticks, "throttled") >= IGNORED:
        text += " A CPU limit is part of the cause: see CPUThrottled."
    return text


DIAGNOSIS = Diagnosis(check, Learner(kind=ContendedLatch, learn=learn))
