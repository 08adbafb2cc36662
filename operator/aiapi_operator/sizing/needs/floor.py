"""The user's floors: workers.min in each of replicas.min pods."""

from aiapi_operator.sizing.decision import Binding
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.requirement import Requirement


def need(facts: Facts, _lead: float) -> Requirement:
    """The smallest fleet that the spec allows."""
    workers, replicas = facts.spec.workers.min, facts.spec.replicas.min
    return Requirement(
        binding=Binding.FLOOR,
        reason=f"workers.min {workers} x replicas.min {replicas}",
        min_workers=workers,
        min_replicas=max(1, replicas),
    )
