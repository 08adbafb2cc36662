"""Diagnosis: an entry of ``DIAGNOSES``. It returns one condition."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from aiapi_operator.sizing.decision import Condition
from aiapi_operator.sizing.entry import Learner
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.requirement import Requirements
from aiapi_operator.sizing.state import Size


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A condition that is always reported: true, false, or unknown if there is no data."""

    check: Callable[[Facts, Requirements, Size], Condition]
    learner: Learner[Any] | None = None


@lru_cache
def condition(kind: str, status: bool | None, reason: str, message: str) -> Condition:
    """A condition of the type ``kind``. Most are the same as in the tick before."""
    return Condition(type=kind, status=status, reason=reason, message=message)
