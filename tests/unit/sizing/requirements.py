"""Requirements for tests of what comes after the needs: planning, guards and diagnoses."""

from aiapi_operator.sizing.decision import Binding
from aiapi_operator.sizing.requirement import Requirement, Requirements, together
from aiapi_operator.sizing.state import Size


def needed(
    workers: float,
    survivors: float = 0.0,
    *,
    min_workers: int = 1,
    min_replicas: int = 1,
    binding: Binding = Binding.LOOP,
) -> Requirements:
    """``workers`` for the load, of which ``survivors`` must remain when a pod is lost."""
    load = Requirement(
        binding=binding, reason="the load", workers=workers, survivors=survivors, demand=412.0
    )
    floor = Requirement(
        binding=Binding.FLOOR,
        reason="the floor",
        min_workers=min_workers,
        min_replicas=min_replicas,
    )
    return together([load, floor])


def size(workers: int, replicas: int) -> Size:
    """``workers`` in each of ``replicas`` pods."""
    return Size(workers=workers, replicas=replicas)
