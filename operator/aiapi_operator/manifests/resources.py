"""What a pod requests for its workers: in the template, and when a running pod is resized.

There are no limits. A CPU limit would throttle an event loop in the middle of a burst; a
memory limit would have to move with the workers, and lowering it may kill the pod. Without
limits the pod is Burstable at any size, and a resize may not change that class.
"""

from aiapi_operator.api.quantity import format_cpu, format_memory, parse_bytes, parse_quantity
from aiapi_operator.api.spec import Workers


def requests(workers: Workers, number: int) -> dict[str, str]:
    """CPU and memory for this number of workers."""
    return {
        "cpu": format_cpu(parse_quantity(workers.cpu) * number),
        "memory": format_memory(parse_bytes(workers.memory) * number),
    }
