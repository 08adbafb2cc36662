"""Two yardsticks. Both know what nobody knows: the load that is to come."""

from dataclasses import dataclass

from aiapi_operator.simulate.faults import DOUBLED, FaultKind
from aiapi_operator.simulate.ground_truth import GroundTruth
from aiapi_operator.simulate.policies.policy import PolicyDecision
from aiapi_operator.simulate.snapshot import FleetSnapshot
from aiapi_operator.sizing import plan
from aiapi_operator.sizing.state import Size


@dataclass(frozen=True, slots=True)
class StaticPolicy:
    """One fleet for the whole trace: the cheapest that carries the busiest minute."""

    truth: GroundTruth
    name: str = "static"
    interval: float = 3600.0
    instant: bool = False

    @property
    def first(self) -> Size:
        """The only fleet there is."""
        peak = self.truth.load.trace.peak_minute
        return plan.cheapest(self.truth.spec, self.truth.need(peak))

    def decide(self, view: FleetSnapshot) -> PolicyDecision:
        """Nothing ever changes."""
        return PolicyDecision(size=view.size, why="static")


@dataclass(frozen=True, slots=True)
class OraclePolicy:
    """Each 30 s the cheapest fleet for the next 30 s, which it knows.

    It has the operator's floors, redundancy and search for the cheapest shape, and pays the same
    for pods and workers. It knows the service, and the requests of each second to come: it takes
    the fewest workers that answer just enough of them in time. What it orders is there at once:
    it would have ordered it in time. Nobody can be as good, and whoever is close to it is good.
    """

    truth: GroundTruth
    name: str = "oracle"
    interval: float = 30.0
    instant: bool = True

    @property
    def first(self) -> Size:
        """The fleet for the first 30 s."""
        return self._plan(0.0)

    def decide(self, view: FleetSnapshot) -> PolicyDecision:
        """The fleet for the next 30 s."""
        return PolicyDecision(size=self._plan(view.now), why="knows the next 30 s")

    def _plan(self, now: float) -> Size:
        load = self.truth.load
        coming = load.trace.counts[int(now) : int(now + self.interval)]
        doubled = load.faults.active(FaultKind.DEMAND_DOUBLED, now)
        need = self.truth.need_of(coming, demand_factor=DOUBLED if doubled else 1.0)
        return plan.cheapest(self.truth.spec, need)
