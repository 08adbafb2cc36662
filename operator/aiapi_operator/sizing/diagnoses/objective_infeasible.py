"""ObjectiveInfeasible: the objective is missed even at an idle event loop.

With hysteresis: true when the base latency has been over the threshold for 10 s, false when it has
been under 95 % of it for 30 s.
"""

from aiapi_operator.present.numbers import duration, percent
from aiapi_operator.sizing import latch
from aiapi_operator.sizing.decision import Condition
from aiapi_operator.sizing.diagnoses.diagnosis import Diagnosis, condition
from aiapi_operator.sizing.diagnoses.latency_text import percentile_name
from aiapi_operator.sizing.entry import Learner
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.learners.base_latency import BaseLatency
from aiapi_operator.sizing.learners.utilization import target
from aiapi_operator.sizing.requirement import Requirements
from aiapi_operator.sizing.state import Latch, Size

KIND = "ObjectiveInfeasible"
WITHIN = 0.95
"""Share of the threshold below which the objective is clearly feasible again. About the error of a
percentile."""
AFTER = 10.0
"""Seconds for which the base must be over the threshold. Chosen: a few ticks; three times as long
to end."""


class InfeasibleLatch(Latch):
    """Whether the objective is infeasible."""


def learn(known: InfeasibleLatch | None, facts: Facts) -> InfeasibleLatch | None:
    """Update the finding, with hysteresis."""
    base = facts.get(BaseLatency)
    if base is None or facts.tick is None:
        return known
    share = base.current / facts.spec.objective.threshold
    finding = True if share > 1 else False if share < WITHIN else None
    turned = latch.update(
        known or InfeasibleLatch(), finding, now=facts.now, on_after=AFTER, off_after=3 * AFTER
    )
    return InfeasibleLatch(on=turned.on, since=turned.since)


def check(facts: Facts, _: Requirements, __: Size) -> Condition:
    """Whether any number of workers can meet the objective."""
    base, known = facts.get(BaseLatency), facts.get(InfeasibleLatch)
    if base is None or not facts.known:
        return condition(
            KIND, None, "NoData", "No latency has been measured at an idle event loop recently."
        )
    threshold, found = duration(facts.spec.objective.threshold), duration(base.current)
    name = percentile_name(facts.spec)
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
        f" objective.latency.threshold above {found}. Until then, loops are planned at {planned}.",
    )


DIAGNOSIS = Diagnosis(check, Learner(kind=InfeasibleLatch, learn=learn))
