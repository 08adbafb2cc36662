"""The status as last written, and the parts of it that decide whether it is written again. Pure."""

import re
from dataclasses import dataclass
from typing import Any, Self

from aiapi_operator.api.summary import number
from aiapi_operator.cluster.resources import Manifest
from aiapi_operator.engine import conditions
from aiapi_operator.engine.conditions import StatusCondition
from aiapi_operator.sizing.diagnoses import dependency_bound

DECISION_FIELDS = (
    *("workers", "objective", "load", "need", "decision", "savings", "learned", "runtime"),
)
_NUMBERS = ("objective", "load", "need", "learned", "savings")
_COUNTS = (*("observedGeneration", "shard", "replicas", "readyReplicas", "workers", "runtime"),)


@dataclass(frozen=True, slots=True)
class WrittenStatus:
    """The status as last written, and when."""

    document: Manifest
    """The parts that the next status is made from."""
    time: float
    essential: tuple[dict[str, Any], ...]
    numbers: dict[str, Any]

    @classmethod
    def of(cls, document: Manifest, time: float) -> Self:
        """The status with its parts, which every tick compares."""
        names = (*DECISION_FIELDS, "activation")
        kept = {name: document[name] for name in names if name in document}
        found = essential(document, conditions.read(document))
        return cls(kept, time, found, numbers(document))


def essential(
    document: dict[str, Any], found: dict[str, StatusCondition]
) -> tuple[dict[str, Any], ...]:
    """The fields whose change is written immediately: no messages and nothing measured."""
    decision, activation = document.get("decision") or {}, document.get("activation") or {}
    return (
        {key: document.get(key) for key in _COUNTS},
        {key: activation.get(key) for key in ("phase", "port", "wakeReplicas")},
        {key: decision.get(key) for key in ("workers", "replicas", "reason", "binding")},
        {
            each.type: (each.status, _reason(each), each.observed_generation)
            for each in found.values()
        },
    )


def _reason(found: StatusCondition) -> str:
    """The reason, if it matters: why a dependency is not to blame may vary with every request."""
    return "" if found.type == dependency_bound.KIND and found.status == "False" else found.reason


def numbers(document: dict[str, Any]) -> dict[str, Any]:
    """The fields that vary under a steady load."""
    reasons = {each.type: each.reason for each in conditions.read(document).values()}
    measured = {key: document.get(key) for key in _NUMBERS}
    return {"reasons": reasons, "activation": _activation(document), **measured}


def _activation(document: dict[str, Any]) -> str:
    """Why the fleet is in its phase. Under load, the time without a request does not matter."""
    message = str((document.get("activation") or {}).get("message", ""))
    is_used = (number((document.get("load") or {}).get("requestsPerSecond")) or 0.0) >= 1
    return re.split(r"[0-9]", message, maxsplit=1)[0] if is_used else message
