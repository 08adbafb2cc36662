"""ObjectiveInfeasible: the objective is missed even at an idle event loop.

With hysteresis: true when the base latency has been over the threshold for 10 s, false when it has
been under 95 % of it for 30 s.
"""

from aiapi_operator.present.numbers import duration, percent
from aiapi_operator.sizing import latch
from aiapi_operator.sizing.decision import Condition
from aiapi_operator.sizing.diagnoses.diagnosis import Diagnosis, condition
from aiapi_operator.sizing.entry import Learner
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.inputs import LatencyObjective, ObjectiveKind
from aiapi_operator.sizing.learners.base_first_byte import base
from aiapi_operator.sizing.learners.utilization import TUNING, target
from aiapi_operator.sizing.requirement import Requirements
from aiapi_operator.sizing.state import Latch, Size

KIND = "ObjectiveInfeasible"


class InfeasibleLatch(Latch):
    """Whether the objective is infeasible."""


def learn(known: InfeasibleLatch | None, facts: Facts) -> InfeasibleLatch | None:
    """Update the finding, with hysteresis."""
    worst = _worst(facts)
    if worst is None or facts.tick is None:
        return known
    objective, found = worst
    share = found / objective.threshold
    finding = True if share > 1 else False if share < 1 - TUNING.near else None
    turned = latch.update(
        known or InfeasibleLatch(),
        finding,
        now=facts.now,
        on_after=latch.AFTER,
        off_after=3 * latch.AFTER,
    )
    return InfeasibleLatch(on=turned.on, since=turned.since)


def _worst(facts: Facts) -> tuple[LatencyObjective, float] | None:
    """The objective whose base is the largest share of its threshold, and that base."""
    bases = ((each, base(facts, each)) for each in facts.spec.objectives)
    known = [(each, found.current) for each, found in bases if found is not None]
    return max(known, key=lambda pair: pair[1] / pair[0].threshold, default=None)


def check(facts: Facts, _: Requirements, __: Size) -> Condition:
    """Whether any number of workers can meet the objective."""
    worst, known = _worst(facts), facts.get(InfeasibleLatch)
    if worst is None or not facts.known:
        return condition(
            KIND, None, "NoData", "No latency has been measured at an idle event loop recently."
        )
    objective, seconds = worst
    threshold, found = duration(objective.threshold), duration(seconds)
    name = objective.name
    if known is None or not known.on:
        message = f"At an idle event loop {name} is {found}; the objective is {threshold}."
        return condition(KIND, False, "WithinReach", message)
    planned = percent(target(facts).utilization)
    return condition(
        KIND,
        True,
        "BaseLatencyTooHigh",
        f"{name} is {found} even at an idle event loop, and the objective is {threshold}: no number"
        " of workers can meet it. Make requests faster (upstreams first), or set"
        f" objective.{objective.field}.threshold above {found}.{_streams(objective)} Until then,"
        f" loops are planned at {planned}.",
    )


def _streams(objective: LatencyObjective) -> str:
    if objective.kind is ObjectiveKind.FIRST_BYTE:
        return ""
    return " If responses are streams, set objective.firstByte instead."


DIAGNOSIS = Diagnosis(check, Learner(kind=InfeasibleLatch, learn=learn))
