"""The CPU and memory that a pod requests: as learned, capped while nodes lack room.

A learned request above the spec must never keep workers from starting. When nodes defer or
reject resizes, requests are capped at the spec for five minutes.
"""

from dataclasses import dataclass, field

from aiapi_operator.api.quantity import parse_bytes, parse_cores
from aiapi_operator.api.spec import Workers
from aiapi_operator.engine.pod_view import Resources
from aiapi_operator.manifests.resources import requests

CAP_SECONDS = 300.0
Learned = tuple[float, int]
"""CPU (cores) and memory (bytes) that a worker uses; 0 where that is not learned."""


@dataclass(slots=True)
class RequestCapState:
    """Until when requests are capped at the spec, in monotonic seconds."""

    until: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRequest:
    """CPU (cores) and memory (bytes) that each worker requests."""

    spec: Workers
    cpu: float
    memory: int
    totals: dict[int, Resources] = field(default_factory=dict, compare=False, repr=False)
    """The resources of a pod by its number of workers, as far as they were needed."""

    def total(self, workers: int) -> Resources:
        """The resources of a pod with so many workers."""
        found = self.totals.get(workers)
        if found is None:
            amounts = requests(self.spec, workers, cpu=self.cpu, memory=self.memory)
            found = self.totals[workers] = {"requests": {**amounts}}
        return found


def worker_request(
    cap: RequestCapState, spec: Workers, learned: Learned, *, is_refused: bool, now: float
) -> WorkerRequest:
    """What a worker requests. A resize that is refused starts the cap."""
    spec_cpu, spec_memory = parse_cores(spec.cpu), parse_bytes(spec.memory)
    cpu, memory = learned[0] or spec_cpu, learned[1] or spec_memory
    if is_refused and (cpu > spec_cpu or memory > spec_memory):
        cap.until = now + CAP_SECONDS
    if now < cap.until:
        cpu, memory = min(cpu, spec_cpu), min(memory, spec_memory)
    return WorkerRequest(spec=spec, cpu=cpu, memory=memory)
