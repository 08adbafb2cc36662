"""Floors: the least fleet there may be, raised by schedules and by the memory that requests take.

A schedule's floor holds from its start. Pods take a while, so it counts already when it is
nearer than one and a half times the time they have taken lately (they do not always take the
same): with pods that take 20 s and a tick of 2 s, from 33 s before the start.

    replicas.min 2, a schedule with 6 from 08:00: at 07:59:27 the least fleet has 6 pods
"""

from dataclasses import replace

from aiapi_operator.sizing.inputs import Bounds, Floor, SizingSpec

MARGIN = 1.5


def apply(spec: SizingSpec, *, pod_lead: float, memory_pods: int) -> SizingSpec:
    """The spec with its minima raised to what counts now, never above the maxima."""
    ahead = MARGIN * (pod_lead + spec.interval)
    floors = (*spec.floors, *(one.floor for one in spec.upcoming if one.seconds <= ahead))
    if not floors and memory_pods <= spec.replicas.min:
        return spec
    workers = max((floor.workers for floor in floors), default=0)
    replicas = max(memory_pods, *(floor.replicas for floor in floors), 0)
    return replace(
        spec,
        workers=_raised(spec.workers, workers),
        replicas=_raised(spec.replicas, replicas),
        floors=floors,
        upcoming=(),
        memory_pods=memory_pods,
    )


def _raised(bounds: Bounds, least: int) -> Bounds:
    return Bounds(min=min(bounds.max, max(bounds.min, least)), max=bounds.max)


def names(floors: tuple[Floor, ...]) -> str:
    """The schedules as people call them."""
    return ", ".join(floor.name for floor in floors)
