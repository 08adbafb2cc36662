"""The Events of one tick: what was decided, and what became healthy or unhealthy. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aiapi_operator.engine.activation import Phase
from aiapi_operator.engine.conditions import StatusCondition
from aiapi_operator.sizing.decision import Decision, Verdict

_CHANGES = {Verdict.SCALED_UP, Verdict.SCALED_DOWN, Verdict.REBALANCED}
_POSITIVE = {"Ready", "Accepted", "Reconciled"}
"""Conditions that are healthy when true. All others are healthy when false."""


@dataclass(frozen=True, slots=True)
class StatusEvent:
    """One Event."""

    reason: str
    kind: str
    message: str


def size(decision: Decision) -> tuple[int, int]:
    """Its workers and replicas."""
    return decision.workers, decision.replicas


def of_decision(decision: Decision, previous: Decision | None) -> Iterable[StatusEvent]:
    """The change that a decision makes."""
    if decision.verdict not in _CHANGES:
        return
    if previous is None or size(previous) != size(decision):
        yield StatusEvent(decision.verdict.value, "Normal", decision.message)


def of_phase(now: Mapping[str, object], before: str) -> Iterable[StatusEvent]:
    """That a fleet went to zero, and that it comes back."""
    phase = now.get("phase")
    if phase != before and phase in (Phase.ASLEEP, Phase.WAKING):
        yield StatusEvent(str(phase), "Normal", str(now.get("message", "")))


def of_conditions(
    now: dict[str, StatusCondition], before: dict[str, StatusCondition]
) -> Iterable[StatusEvent]:
    """Conditions that turned unhealthy, and Ready when it turned true.

    A new AIApi is not ready yet, so a first Ready=False has no Event.
    """
    for current in now.values():
        previous = before.get(current.type)
        if current.type in _POSITIVE:
            if (
                current.status == "True"
                and current.type == "Ready"
                and not _has_status(previous, "True")
            ):
                yield StatusEvent("Ready", "Normal", current.message)
            elif current.status == "False" and _has_new_reason(current, previous):
                yield StatusEvent(current.reason, "Warning", current.message)
        elif current.status == "True" and not _has_status(previous, "True"):
            yield StatusEvent(current.type, "Warning", current.message)


def _has_new_reason(current: StatusCondition, previous: StatusCondition | None) -> bool:
    return current.type != "Ready" if previous is None else previous.reason != current.reason


def _has_status(condition: StatusCondition | None, status: str) -> bool:
    return condition is not None and condition.status == status
