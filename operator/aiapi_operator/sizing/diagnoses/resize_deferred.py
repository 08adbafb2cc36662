"""ResizeDeferred: pods cannot have the workers that the load needs: their resize is refused.

It is true only while that matters: not while the smallest fleet carries the load as granted.
"""

from collections import Counter

from aiapi_operator.present.numbers import count
from aiapi_operator.sizing.decision import Condition
from aiapi_operator.sizing.diagnoses.diagnosis import Diagnosis, condition
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.inputs import Refusal
from aiapi_operator.sizing.plan import workers_for
from aiapi_operator.sizing.requirement import Requirements
from aiapi_operator.sizing.state import Size

KIND = "ResizeDeferred"
ROOM = "lower workers.cpu or workers.memory"
LIMITS = (
    "Remove or raise the limit in spec.podTemplate or the LimitRange, or set workers.max to what it"
    " allows. A pod whose limits equal its requests (QoS class Guaranteed) cannot be resized."
)
RULES = (
    "Raise the ResourceQuota or the LimitRange that the message names, or allow the operator to"
    " patch pods/resize."
)
WHY = {
    Refusal.DEFERRED: (
        "NodeIsFull",
        f"Free CPU and memory on the node, {ROOM}, or let a node autoscaler add nodes.",
    ),
    Refusal.INFEASIBLE: (
        "NodeTooSmall",
        f"Use larger nodes, {ROOM}, or set workers.max to what fits.",
    ),
    Refusal.INVALID: (
        "ResizeInvalid",
        LIMITS,
    ),
    Refusal.FORBIDDEN: (
        "ResizeForbidden",
        RULES,
    ),
}


def check(facts: Facts, needs: Requirements, _: Size) -> Condition:
    """Whether pods lack workers because their resize is not granted."""
    refused, fewest = facts.fleet.refused, max(1, facts.spec.replicas.min)
    least = min((each.granted for each in refused), default=0)
    wanted = max(needs.min_workers, workers_for(needs.carry, fewest))
    if not refused or wanted <= least:
        return condition(KIND, False, "NothingWaits", "No in-place resize is waiting for its node.")
    why = Counter(each.why for each in refused).most_common(1)[0][0]
    example = min((each for each in refused if each.why is why), key=lambda each: each.granted)
    reason, hint = WHY[why]
    return condition(
        KIND,
        True,
        reason,
        f"{count(len(refused), 'pod')} cannot be resized for more workers. {example.pod} stays at"
        f" {count(example.granted, 'worker')}: {example.message.rstrip('.')}. {hint}",
    )


DIAGNOSIS = Diagnosis(check)
