"""Memory of requests in flight: where pods have a memory limit, it limits how many they can hold.

More workers in a pod share the same limit, so this asks for pods, not for workers. Without a limit
nothing is asked. See request_memory.py for an example.
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
