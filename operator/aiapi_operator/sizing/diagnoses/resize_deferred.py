"""ResizeDeferred: an in-place resize waits for free resources of its node."""

from aiapi_operator.present.numbers import count
from aiapi_operator.sizing.decision import Condition
from aiapi_operator.sizing.diagnoses.diagnosis import Diagnosis, condition
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.requirement import Requirements
from aiapi_operator.sizing.state import Size

KIND = "ResizeDeferred"


def check(facts: Facts, _: Requirements, __: Size) -> Condition:
    """Whether pods wait for CPU or memory of their node."""
    waiting = facts.fleet.resize_deferred
    if waiting <= 0:
        return condition(KIND, False, "NothingWaits", "No in-place resize is waiting for its node.")
    return condition(
        KIND,
        True,
        "NodeIsFull",
        f"In-place resize is deferred for {count(waiting, 'pod')}: the node lacks CPU or memory for"
        " more workers. Free resources on the node, lower workers.cpu or workers.max, or let a"
        " node autoscaler add nodes.",
    )


DIAGNOSIS = Diagnosis(check)
