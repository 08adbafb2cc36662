"""The operator: the very ``decide`` that it runs, on samples like those of real pods."""

from dataclasses import dataclass, field, replace
from time import perf_counter

from aiapi_operator.simulate.policies.policy import PolicyDecision
from aiapi_operator.simulate.snapshot import FleetSnapshot
from aiapi_operator.sizing.decide import decide
from aiapi_operator.sizing.inputs import SizingSpec
from aiapi_operator.sizing.state import Size, State


@dataclass(slots=True)
class AIApiPolicy:
    """``aiapi_operator.sizing.decide`` each ``spec.scaling.interval``."""

    spec: SizingSpec
    first: Size
    begins: float = 0.0
    """When the trace begins, in seconds since 1970."""
    name: str = "aiapi"
    instant: bool = False
    state: State = field(default_factory=State)

    @property
    def interval(self) -> float:
        """As in the spec."""
        return self.spec.interval

    def decide(self, view: FleetSnapshot) -> PolicyDecision:
        """What the operator would order."""
        fleet = view.scrape()
        started = perf_counter()
        spec = replace(self.spec, time_of_day=self.begins + view.now)
        decision = decide(spec, fleet, self.state, view.now)
        took = perf_counter() - started
        self.state = decision.state
        size = Size(workers=decision.workers, replicas=decision.replicas)
        return PolicyDecision(size=size, why=decision.message, decide_ms=1000 * took)
