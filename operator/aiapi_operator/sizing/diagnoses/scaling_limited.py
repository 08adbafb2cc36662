"""ScalingLimited: bounds, the rate limit, a quota or the nodes keep the fleet below the need."""

from aiapi_operator.present.numbers import count, number
from aiapi_operator.sizing.decision import Condition
from aiapi_operator.sizing.diagnoses.diagnosis import Diagnosis, condition
from aiapi_operator.sizing.explain import workers_needed
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.inputs import Shortage
from aiapi_operator.sizing.plan import workers_for
from aiapi_operator.sizing.requirement import Requirements
from aiapi_operator.sizing.state import Size

KIND = "ScalingLimited"


def check(facts: Facts, needs: Requirements, size: Size) -> Condition:
    """Whether more workers are needed than are allowed."""
    spec = facts.plannable
    if not facts.known:
        return condition(KIND, None, "NoData", "The need is unknown.")
    needed, most = workers_needed(needs), spec.workers.max * spec.replicas.max
    if needs.carry.total > most:
        return condition(
            KIND,
            True,
            "MaximumReached",
            f"{number(needed)} workers are needed, but {_maximum(facts, most)}: requests will queue"
            f" or be rejected. Raise replicas.max to {number(-(-needed // spec.workers.max))}, or"
            f" {_or_else(facts)}.",
        )
    if lacking := _lacking(facts, needs, size):
        return lacking
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


def _lacking(facts: Facts, needs: Requirements, size: Size) -> Condition | None:
    """The cluster does not run the pods that the need requires."""
    missing, serving = facts.fleet.missing, len(facts.seen.samples)
    carried = needs.carry.total <= serving * size.workers
    if missing is None or (carried and needs.min_replicas <= max(1, serving)):
        return None
    text = (
        f"{number(workers_needed(needs))} workers are needed, but only {count(serving, 'pod')} of"
        f" {size.replicas} can run. {missing.message}"
    )
    if missing.shortage is Shortage.QUOTA:
        return condition(KIND, True, "QuotaReached", text)
    return condition(KIND, True, "NoNodes", text)


def _maximum(facts: Facts, most: int) -> str:
    pods, workers = f"replicas.max {facts.spec.replicas.max}", facts.plannable.workers.max
    if workers == facts.spec.workers.max:
        return f"at most {most} are allowed ({pods} x workers.max {workers})"
    return f"at most {most} can run ({pods} x {count(workers, 'worker')} per pod)"


def _or_else(facts: Facts) -> str:
    if facts.plannable.workers.max == facts.spec.workers.max:
        return "raise workers.max"
    return "give pods room for more workers, see ResizeDeferred"


DIAGNOSIS = Diagnosis(check)
