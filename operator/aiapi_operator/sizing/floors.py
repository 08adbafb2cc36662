"""Raises the minimums of the spec to the floors of schedules and of memory in use.

A schedule's floor applies from its start. Pods take time to start, so it applies early: from one
and a half times the recent pod lead time (which varies) plus the interval before the start. With
pods that take 20 s and a tick of 2 s, from 33 s before the start.

    replicas.min 2, a schedule with 6 from 08:00: at 07:59:27 the minimum is 6 pods
"""

from dataclasses import replace

from aiapi_operator.sizing.inputs import Bounds, Floor, SizingSpec

MARGIN = 1.5


def apply(spec: SizingSpec, *, pod_lead: float, memory_pods: int) -> SizingSpec:
    """The spec with its minimums raised to the current floors, never above the maximums."""
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
    """The names of the schedules."""
    return ", ".join(floor.name for floor in floors)
