"""Memory of requests in flight: a memory limit limits how many requests a pod can hold.

Workers of a pod share the limit, so this requires pods, not workers. Without a limit there is no
requirement. request_memory.py has an example.
"""

from aiapi_operator.present.numbers import count
from aiapi_operator.sizing import peaks
from aiapi_operator.sizing.decision import Binding
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.learners.request_memory import RequestMemory
from aiapi_operator.sizing.requirement import Requirement


def need(facts: Facts, _lead: float) -> Requirement | None:
    """Pods that can hold the requests in flight."""
    known = facts.get(RequestMemory)
    pods = 0 if known is None else int(peaks.peak(known.pods) or 0)
    if pods < 1:
        return None
    return Requirement(
        binding=Binding.MEMORY,
        reason=f"{count(pods, 'pod')} for the memory of requests in flight",
        min_replicas=pods,
        min_workers=facts.spec.workers.min,
    )
