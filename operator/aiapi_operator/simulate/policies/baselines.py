"""Two baselines that know the future load."""

from dataclasses import dataclass
from math import ceil

from aiapi_operator.simulate.faults import DEMAND_FACTOR, FaultKind
from aiapi_operator.simulate.ground_truth import GroundTruth
from aiapi_operator.simulate.policies.policy import PolicyDecision
from aiapi_operator.simulate.snapshot import FleetSnapshot
from aiapi_operator.sizing import plan
from aiapi_operator.sizing.state import Size


@dataclass(frozen=True, slots=True)
class StaticPolicy:
    """A fixed fleet: the cheapest that carries the busiest minute."""

    truth: GroundTruth
    name: str = "static"
    interval: float = 3600.0
    instant: bool = False

    @property
    def initial_size(self) -> Size:
        """The fixed size."""
        peak = self.truth.load.trace.peak_minute
        return plan.cheapest(self.truth.spec, self.truth.need(peak))

    def decide(self, snapshot: FleetSnapshot) -> PolicyDecision:
        """Keep the size."""
        return PolicyDecision(size=snapshot.size, why="static")


@dataclass(frozen=True, slots=True)
class OraclePolicy:
    """Every 30 s, the cheapest fleet for the known requests of the next 30 s.

    It has the operator's floors, redundancy and search for the cheapest shape, and pays the same
    for pods and workers. It knows the service and the requests of each coming second, and runs the
    minimum workers that answer enough of them in time. Its capacity has no start time, because it
    would have been created in time. It is a bound that no real policy reaches.
    """

    truth: GroundTruth
    reserve: float = 0.0
    """Share added to the need, where chance would make it miss windows."""
    may_sleep: bool = False
    """Whether it runs no pod while no request comes."""
    name: str = "oracle"
    interval: float = 30.0
    instant: bool = True

    @property
    def initial_size(self) -> Size:
        """The fleet for the first 30 s."""
        return self._plan(0.0)

    def decide(self, snapshot: FleetSnapshot) -> PolicyDecision:
        """The fleet for the next 30 s."""
        size = self._plan(snapshot.now)
        if size.replicas == 0 and snapshot.held:
            size = Size(workers=size.workers, replicas=1)
        return PolicyDecision(size=size, why="knows the next 30 s")

    def _plan(self, now: float) -> Size:
        load = self.truth.load
        coming = load.trace.counts[int(now) : ceil(now + self.interval)]
        if self.may_sleep and not coming.any():
            return Size(workers=self.truth.spec.workers.min, replicas=0)
        doubled = load.faults.active(FaultKind.DEMAND_DOUBLED, now)
        need = self.truth.need_for_counts(coming, demand_factor=DEMAND_FACTOR if doubled else 1.0)
        return plan.cheapest(self.truth.spec, need.times(1 + self.reserve))
