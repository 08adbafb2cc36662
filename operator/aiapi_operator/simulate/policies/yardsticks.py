"""Two yardsticks. Both know what nobody knows: the load that is to come."""

from dataclasses import dataclass

from aiapi_operator.simulate.faults import DOUBLED, Kind
from aiapi_operator.simulate.policies.policy import Answer
from aiapi_operator.simulate.truth import Truth
from aiapi_operator.simulate.view import View
from aiapi_operator.sizing import plan
from aiapi_operator.sizing.state import Size


@dataclass(frozen=True, slots=True)
class Static:
    """One fleet for the whole trace: the cheapest that carries the busiest minute."""

    truth: Truth
    name: str = "static"
    interval: float = 3600.0
    instant: bool = False

    @property
    def first(self) -> Size:
        """The only fleet there is."""
        peak = self.truth.load.trace.peak_minute
        return plan.cheapest(self.truth.spec, self.truth.need(peak))

    def decide(self, view: View) -> Answer:
        """Nothing ever changes."""
        return Answer(size=view.size, why="static")


@dataclass(frozen=True, slots=True)
class Oracle:
    """Each 30 s the cheapest fleet for the next 30 s, which it knows.

    It has the operator's floors, redundancy and search for the cheapest shape, and pays the same
    for pods and workers. It knows the service, and the requests of each second to come: it takes
    the fewest workers that answer just enough of them in time. What it orders is there at once:
    it would have ordered it in time. Nobody can be as good, and whoever is close to it is good.
    """

    truth: Truth
    name: str = "oracle"
    interval: float = 30.0
    instant: bool = True

    @property
    def first(self) -> Size:
        """The fleet for the first 30 s."""
        return self._plan(0.0)

    def decide(self, view: View) -> Answer:
        """The fleet for the next 30 s."""
        return Answer(size=self._plan(view.now), why="knows the next 30 s")

    def _plan(self, now: float) -> Size:
        load = self.truth.load
        coming = load.trace.counts[int(now) : int(now + self.interval)]
        doubled = load.faults.active(Kind.DEMAND_DOUBLED, now)
        need = self.truth.need_of(coming, demand_factor=DOUBLED if doubled else 1.0)
        return plan.cheapest(self.truth.spec, need)
