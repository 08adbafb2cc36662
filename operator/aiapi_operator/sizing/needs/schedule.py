"""Schedules: floors at certain times of the week.

A schedule's floor holds from its start. Pods take a while, so it counts as soon as it is nearer
than one and a half times the time they have taken (they do not always take the same): with pods
that take 20 s and a tick of 2 s, from 33 s before the start.
"""

from aiapi_operator.present.numbers import count
from aiapi_operator.sizing.decision import Binding
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.inputs import Floor
from aiapi_operator.sizing.learners import pod_start
from aiapi_operator.sizing.requirement import Requirement

MARGIN = 1.5


def floors(facts: Facts) -> tuple[Floor, ...]:
    """The floors of the schedules that count now."""
    ahead = MARGIN * (pod_start.seconds(facts) + facts.spec.interval)
    upcoming = [each.floor for each in facts.spec.upcoming if each.seconds <= ahead]
    return (*facts.spec.floors, *upcoming)


def need(facts: Facts, _lead: float) -> Requirement | None:
    """The highest of them, and never less than the user's floors."""
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
