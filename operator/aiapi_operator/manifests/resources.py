"""The resource requests of a pod, in the template and when a running pod is resized.

There are no limits. A CPU limit would throttle an event loop during a burst. A memory limit would
have to follow the workers, and lowering it can kill the pod. Without limits the pod is Burstable
at any size; a resize must not change that class.
"""

from decimal import Decimal

from aiapi_operator.api.quantity import format_cpu, format_memory, parse_bytes, parse_quantity
from aiapi_operator.api.spec import Workers


def requests(
    workers: Workers, number: int, *, cpu: float | None = None, memory: int | None = None
) -> dict[str, str]:
    """CPU and memory for ``number`` workers, from cores and bytes per worker or from the spec."""
    cores = parse_quantity(workers.cpu) if cpu is None else Decimal(f"{cpu:.3f}")
    size = parse_bytes(workers.memory) if memory is None else memory
    return {"cpu": format_cpu(cores * number), "memory": format_memory(size * number)}
