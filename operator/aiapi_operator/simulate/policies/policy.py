"""The interface of a scaling policy: at an interval, it returns the desired size of the fleet."""

from dataclasses import dataclass
from typing import Protocol

from aiapi_operator.simulate.snapshot import FleetSnapshot
from aiapi_operator.sizing.state import Size


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDecision:
    """The desired size, and its reason."""

    size: Size
    why: str
    decide_ms: float = 0.0
    """Duration of the decision, without scraping."""


class ScalingPolicy(Protocol):
    """Scales a fleet."""

    @property
    def name(self) -> str:
        """Its name in ``--policy``."""
        ...

    @property
    def interval(self) -> float:
        """Seconds between two decisions."""
        ...

    @property
    def instant(self) -> bool:
        """Whether new capacity has no start time; only for a policy that knows the future."""
        ...

    @property
    def initial_size(self) -> Size:
        """The fleet at the start of the trace."""
        ...

    def decide(self, snapshot: FleetSnapshot) -> PolicyDecision:
        """The desired size now."""
        ...
