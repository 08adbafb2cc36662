"""The operator: its own ``decide``, on samples like those of real pods."""

from collections.abc import Container
from dataclasses import dataclass, field, replace
from time import perf_counter

from aiapi_operator.simulate.policies.policy import PolicyDecision
from aiapi_operator.simulate.snapshot import FleetSnapshot
from aiapi_operator.sizing.decide import decide
from aiapi_operator.sizing.inputs import SizingSpec
from aiapi_operator.sizing.learners.daily_profile import DailyProfile
from aiapi_operator.sizing.learners.demand import Demand
from aiapi_operator.sizing.state import Size, State

FORECASTS = (Demand, DailyProfile)
"""Without these the demand is the mean of the last 6 s."""


@dataclass(slots=True)
class AIApiPolicy:
    """Runs ``aiapi_operator.sizing.decide`` every ``spec.scaling.interval``."""

    spec: SizingSpec
    initial_size: Size
    start_time: float = 0.0
    """Unix time of the trace's second 0."""
    name: str = "aiapi"
    instant: bool = False
    without: Container[type] = ()
    """What it does not learn, by type."""
    state: State = field(default_factory=State)

    @property
    def interval(self) -> float:
        """``scaling.interval`` of the spec."""
        return self.spec.interval

    def decide(self, snapshot: FleetSnapshot) -> PolicyDecision:
        """The operator's decision."""
        fleet = snapshot.scrape()
        started = perf_counter()
        spec = replace(self.spec, time_of_day=self.start_time + snapshot.now)
        decision = decide(spec, fleet, self.state, snapshot.now, without=self.without)
        took = perf_counter() - started
        self.state = decision.state
        size = Size(workers=decision.workers, replicas=decision.replicas)
        return PolicyDecision(size=size, why=decision.message, decide_ms=1000 * took)
