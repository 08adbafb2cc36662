"""ScalingLimited: the bounds or the rate limit keep the fleet below the need."""

from aiapi_operator.present.numbers import number
from aiapi_operator.sizing.decision import Condition
from aiapi_operator.sizing.diagnoses.diagnosis import Diagnosis, condition
from aiapi_operator.sizing.explain import workers_needed
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.plan import workers_for
from aiapi_operator.sizing.requirement import Requirements
from aiapi_operator.sizing.state import Size

KIND = "ScalingLimited"


def check(facts: Facts, needs: Requirements, size: Size) -> Condition:
    """Whether more workers are needed than are allowed."""
    spec = facts.spec
    if not facts.known:
        return condition(KIND, None, "NoData", "The need is unknown.")
    needed, most = workers_needed(needs), spec.workers.max * spec.replicas.max
    if needs.carry.total > most:
        pods = -(-needed // spec.workers.max)
        return condition(
            KIND,
            True,
            "MaximumReached",
            f"{number(needed)} workers are needed, but at most {most} are allowed (replicas.max"
            f" {spec.replicas.max} x workers.max {spec.workers.max}): requests will queue or be"
            f" rejected. Raise replicas.max to {number(pods)}, or raise workers.max.",
        )
    beyond = workers_for(needs.carry, size.replicas) > spec.workers.max
    if beyond and size.replicas < spec.replicas.max:
        return condition(
            KIND,
            True,
            "RateLimited",
            f"{needed} workers are needed, but scaling.scaleUp.maxReplicasPerMinute"
            f" {spec.max_replicas_per_minute} delays new pods. Raise it if the cluster can"
            " start pods faster.",
        )
    return condition(KIND, False, "WithinLimits", "The need is within the limits.")


DIAGNOSIS = Diagnosis(check)
