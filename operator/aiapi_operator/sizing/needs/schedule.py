"""Schedules: floors at certain times of the week.

A floor applies from the start of its schedule, and early, so that pods serve in time: from 1.5 x
(pod start + interval) before it. With pods that take 20 s and a tick of 2 s that is 33 s.
"""

from aiapi_operator.present.numbers import count
from aiapi_operator.sizing.decision import Binding
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.inputs import Floor
from aiapi_operator.sizing.learners import pod_start
from aiapi_operator.sizing.requirement import Requirement

MARGIN = 1.5
"""Factor on the pod start by which a floor applies early. Chosen: the start time varies."""


def floors(facts: Facts) -> tuple[Floor, ...]:
    """The floors of the schedules that apply now."""
    ahead = MARGIN * (pod_start.seconds(facts) + facts.spec.interval)
    upcoming = [each.floor for each in facts.spec.upcoming if each.seconds <= ahead]
    return (*facts.spec.floors, *upcoming)


def need(facts: Facts, _lead: float) -> Requirement | None:
    """The highest of these floors, at least the user's own."""
    found = floors(facts)
    if not found:
        return None
    spec = facts.spec
    workers = max(spec.workers.min, *(floor.workers for floor in found))
    replicas = max(1, spec.replicas.min, *(floor.replicas for floor in found))
    names = ", ".join(floor.name for floor in found)
    workers, replicas = min(workers, spec.workers.max), min(replicas, spec.replicas.max)
    return Requirement(
        binding=Binding.FLOOR,
        reason=f"schedule {names}: {count(replicas, 'pod')} x {workers}",
        min_workers=workers,
        min_replicas=replicas,
    )
