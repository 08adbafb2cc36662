"""What a pod requests for its workers: in the template, and when a running pod is resized.

There are no limits. A CPU limit would throttle an event loop in the middle of a burst; a
memory limit would have to move with the workers, and lowering it may kill the pod. Without
limits the pod is Burstable at any size, and a resize may not change that class.
"""

from decimal import Decimal

from aiapi_operator.api.quantity import format_cpu, format_memory, parse_bytes, parse_quantity
from aiapi_operator.api.spec import Workers


def requests(
    workers: Workers, number: int, *, cpu: float | None = None, memory: int | None = None
) -> dict[str, str]:
    """CPU and memory for this number of workers: so many cores and bytes each, or the spec's."""
    cores = parse_quantity(workers.cpu) if cpu is None else Decimal(f"{cpu:.3f}")
    octets = parse_bytes(workers.memory) if memory is None else memory
    return {"cpu": format_cpu(cores * number), "memory": format_memory(octets * number)}
