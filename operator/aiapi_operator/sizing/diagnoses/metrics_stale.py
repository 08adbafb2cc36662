"""MetricsStale: some ready pods cannot be scraped for 10 s, or none can."""

from dataclasses import dataclass

from aiapi_operator.present.numbers import count
from aiapi_operator.sizing.decision import Condition
from aiapi_operator.sizing.diagnoses.diagnosis import Diagnosis, condition
from aiapi_operator.sizing.entry import Learner
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.latch import AFTER
from aiapi_operator.sizing.requirement import Requirements
from aiapi_operator.sizing.state import Size
from aiapi_operator.sizing.text import format_silent_pods

KIND = "MetricsStale"


@dataclass(frozen=True, slots=True, kw_only=True)
class SilentSince:
    """Time since which some ready pod cannot be scraped."""

    time: float


def learn(known: SilentSince | None, facts: Facts) -> SilentSince | None:
    """Starts when the first pod fails to answer, and ends when all answer."""
    return (known or SilentSince(time=facts.now)) if facts.seen.unknown else None


def check(facts: Facts, _: Requirements, __: Size) -> Condition:
    """Whether the load of some pods is unknown."""
    seen, silent = facts.seen, facts.get(SilentSince)
    if seen.ready == 0:
        return condition(KIND, None, "NoReadyPods", "No pod is ready.")
    if not seen.unknown:
        return condition(KIND, False, "AllPodsAnswer", "Every ready pod can be scraped.")
    since = facts.now if silent is None else silent.time
    if not seen.all_unknown and facts.now - since < AFTER:
        return condition(KIND, False, "PodsAnswer", "Ready pods can be scraped.")
    names = format_silent_pods(seen.unknown)
    who = f"{len(seen.unknown)} of {count(seen.ready, 'ready pod')}"
    meanwhile = (
        "Their load is estimated as the mean of the other pods."
        if seen.mostly_known
        else "The fleet does not scale down until they answer."
    )
    return condition(
        KIND,
        True,
        "NoPodAnswers" if seen.all_unknown else "SomePodsSilent",
        f"{who} cannot be scraped ({names}). {meanwhile} Check that the operator can reach the"
        " pods' admin port (NetworkPolicy, token) and that the pods have enough CPU.",
    )


DIAGNOSIS = Diagnosis(check, Learner(kind=SilentSince, learn=learn))
