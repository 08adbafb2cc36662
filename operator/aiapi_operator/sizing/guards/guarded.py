"""Guard: an entry of ``GUARDS``, and what it returns."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiapi_operator.sizing.decision import Verdict
from aiapi_operator.sizing.entry import Learner
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.requirement import Requirements
from aiapi_operator.sizing.state import Size


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """The fleet that a guard allows instead of the proposed one."""

    size: Size
    verdict: Verdict
    """The reason of the decision if the fleet does not change."""
    why: str


@dataclass(frozen=True, slots=True)
class Guard:
    """A check of a proposed fleet, and its learner, if it has state."""

    check: Callable[[Size, Facts, Requirements], Guarded | None]
    learner: Learner[Any] | None = None
