"""Conditions as Kubernetes means them: the time of a condition moves with its status alone."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from aiapi_operator.sizing.decision import Condition

_TEXT = {True: "True", False: "False", None: "Unknown"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusCondition:
    """A condition as it stands in the status."""

    type: str
    status: str
    reason: str
    message: str
    last_transition_time: str
    observed_generation: int

    def manifest(self) -> dict[str, Any]:
        """As it goes over the wire."""
        return {
            "type": self.type,
            "status": self.status,
            "reason": self.reason,
            "message": self.message,
            "lastTransitionTime": self.last_transition_time,
            "observedGeneration": self.observed_generation,
        }


def update(
    conditions: Iterable[Condition],
    previous: dict[str, StatusCondition],
    *,
    now: str,
    generation: int,
) -> dict[str, StatusCondition]:
    """The conditions by type, each with the time of its last change of status."""
    return {c.type: _one(c, previous.get(c.type), now, generation) for c in conditions}


def _one(
    condition: Condition, before: StatusCondition | None, now: str, generation: int
) -> StatusCondition:
    status = _TEXT[condition.status]
    kept = before is not None and before.status == status
    return StatusCondition(
        type=condition.type,
        status=status,
        reason=condition.reason,
        message=condition.message,
        last_transition_time=before.last_transition_time if before and kept else now,
        observed_generation=generation,
    )


def read(document: dict[str, Any]) -> dict[str, StatusCondition]:
    """The conditions of a status as it was written, by this operator or the one before it."""
    return {
        entry["type"]: StatusCondition(
            type=entry["type"],
            status=entry["status"],
            reason=entry.get("reason", ""),
            message=entry.get("message", ""),
            last_transition_time=entry.get("lastTransitionTime", ""),
            observed_generation=entry.get("observedGeneration", 0),
        )
        for entry in document.get("conditions") or ()
    }
