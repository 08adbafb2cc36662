"""WorkersFailing: workers do not start."""

from aiapi_operator.present.numbers import count
from aiapi_operator.sizing.decision import Condition
from aiapi_operator.sizing.diagnoses.diagnosis import Diagnosis, condition
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.requirement import Requirements
from aiapi_operator.sizing.state import Size

KIND = "WorkersFailing"


def check(facts: Facts, _: Requirements, __: Size) -> Condition:
    """Whether a pod reports workers that fail to start."""
    samples = facts.seen.samples
    if not samples:
        return condition(KIND, None, "NoData", "No pod can be scraped.")
    failing = [sample for sample in samples if sample.failure]
    if not failing:
        return condition(KIND, False, "WorkersStart", "Workers start normally.")
    first = failing[0]
    none_serve = not any(sample.workers_ready > 0 for sample in samples)
    return condition(
        KIND,
        True,
        "AppFailed" if none_serve else "SomeWorkersFail",
        f"Workers fail to start in {count(len(failing), 'pod')} (first in {first.pod}):"
        f" {first.failure}. Check spec.app, spec.image and spec.env;"
        f" kubectl logs {first.pod} has the full traceback.",
    )


DIAGNOSIS = Diagnosis(check)
