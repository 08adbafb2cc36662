"""CPUThrottled: a CPU limit throttles pods for 5 % of the time or more."""

from aiapi_operator.present.numbers import number, percent
from aiapi_operator.sizing import windows
from aiapi_operator.sizing.decision import Condition
from aiapi_operator.sizing.diagnoses.diagnosis import Diagnosis, condition
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.loop_work import IGNORED
from aiapi_operator.sizing.requirement import Requirements
from aiapi_operator.sizing.state import Size

KIND = "CPUThrottled"


def check(facts: Facts, _: Requirements, __: Size) -> Condition:
    """Whether a CPU limit throttles the pods."""
    if not facts.known:
        return condition(KIND, None, "NoData", "No pod can be scraped.")
    share = windows.mean(facts.ticks, "throttled")
    if share < IGNORED:
        return condition(KIND, False, "NotThrottled", "No CPU limit throttles the pods.")
    limits = [s.cpu_limit_cores for s in facts.seen.samples if s.cpu_limit_cores > 0]
    limit = f" of {number(min(limits))} cores" if limits else ""
    return condition(
        KIND,
        True,
        "LimitTooLow",
        f"A CPU limit{limit} throttled a pod for {percent(share)} of the last minute. Event loops"
        " look busier than they are, and requests wait. Remove the limit"
        " (podTemplate.spec.containers[app].resources.limits.cpu, or a LimitRange): the CPU request"
        " already gives each worker its share.",
    )


DIAGNOSIS = Diagnosis(check)
