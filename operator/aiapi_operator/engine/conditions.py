"""Conditions as Kubernetes defines them: lastTransitionTime changes with the status only."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from aiapi_operator.sizing.decision import Condition

_TEXT = {True: "True", False: "False", None: "Unknown"}
_VALUE = {text: value for value, text in _TEXT.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusCondition:
    """One entry of ``status.conditions``."""

    type: str
    status: str
    reason: str
    message: str
    last_transition_time: str
    observed_generation: int

    def manifest(self) -> dict[str, Any]:
        """The entry as it is written."""
        return {
            "type": self.type,
            "status": self.status,
            "reason": self.reason,
            "message": self.message,
            "lastTransitionTime": self.last_transition_time,
            "observedGeneration": self.observed_generation,
        }

    def says(self, condition: Condition, status: str, generation: int) -> bool:
        """Whether it already says the same."""
        return (
            self.message == condition.message
            and self.status == status
            and self.reason == condition.reason
            and self.observed_generation == generation
        )

    def condition(self) -> Condition:
        """The condition without its time and generation."""
        return Condition(
            type=self.type,
            status=_VALUE.get(self.status),
            reason=self.reason,
            message=self.message,
        )


def update(
    conditions: Iterable[Condition],
    previous: dict[str, StatusCondition],
    *,
    now: str,
    generation: int,
) -> dict[str, StatusCondition]:
    """The conditions by type, each with the time of its last change of status."""
    return {c.type: _update_one(c, previous.get(c.type), now, generation) for c in conditions}


def _update_one(
    condition: Condition, before: StatusCondition | None, now: str, generation: int
) -> StatusCondition:
    status = _TEXT[condition.status]
    if before is not None and before.says(condition, status, generation):
        return before
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
    """The conditions of a status, by type."""
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
