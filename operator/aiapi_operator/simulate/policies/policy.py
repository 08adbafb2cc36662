"""What a policy is: it looks at the fleet at an interval and answers with a size."""

from dataclasses import dataclass
from typing import Protocol

from aiapi_operator.simulate.snapshot import FleetSnapshot
from aiapi_operator.sizing.state import Size


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDecision:
    """The fleet wanted now, and why."""

    size: Size
    why: str
    decide_ms: float = 0.0
    """Time that the decision took, without looking."""


class ScalingPolicy(Protocol):
    """Looks after a fleet."""

    @property
    def name(self) -> str:
        """As in ``--policy``."""
        ...

    @property
    def interval(self) -> float:
        """Seconds between two looks."""
        ...

    @property
    def instant(self) -> bool:
        """What it orders is there at once: only for those who know the future."""
        ...

    @property
    def first(self) -> Size:
        """The fleet at the start of the trace."""
        ...

    def decide(self, view: FleetSnapshot) -> PolicyDecision:
        """The fleet wanted now."""
        ...
