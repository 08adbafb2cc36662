"""What each worker of a pod requests: as learned, and as the spec says where a node has no room.

More CPU for each worker must never keep workers from starting. So when nodes defer or refuse
resizes while more than the spec's values is asked for, the spec's values are asked for instead,
for five minutes.
"""

from aiapi_operator.api.quantity import parse_bytes, parse_cores
from aiapi_operator.api.spec import Workers
from aiapi_operator.engine.aiapi_state import AIApiState
from aiapi_operator.engine.pod_view import Resources
from aiapi_operator.manifests.resources import requests
from aiapi_operator.sizing.decision import Decision

MODEST_FOR = 300.0


def pod_resources(
    subject: AIApiState, spec: Workers, decision: Decision, *, waiting: int, now: float
) -> Resources:
    """Requests of a pod with the workers that were decided on."""
    begun_cpu, begun_memory = parse_cores(spec.cpu), parse_bytes(spec.memory)
    cpu = decision.worker_cpu or begun_cpu
    memory = decision.worker_memory or begun_memory
    if waiting and (cpu > begun_cpu or memory > begun_memory):
        subject.modest_until = now + MODEST_FOR
    if now < subject.modest_until:
        cpu, memory = min(cpu, begun_cpu), min(memory, begun_memory)
    return {"requests": {**requests(spec, decision.workers, cpu=cpu, memory=memory)}}
