"""Generated loads: shapes, periods, peaks, pod starts and services drawn with a seed.

The oracle runs the minimum that meets the objective, so in large fleets chance alone makes it miss
windows. It is made larger in steps until it meets 99 %: a cost relative to less means nothing. Some
windows no policy can meet without knowing the future: a jump beyond what all
running pods can carry with the maximum of workers, until new pods serve. They are found by running
such a policy at any price (``FullPods``), and are counted separately.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sizing_loads import Case

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from unit.simulate.generated_loads import (
    DEMAND,
    LOW,
    PEAK,
    PERIOD,
    POD_START,
    SHAPES,
    SMALL_PEAK,
    blocks,
    longest_excess,
)

from aiapi_operator.api.duration import parse_duration
from aiapi_operator.simulate.compare import sizing_spec_for
from aiapi_operator.simulate.fleet import START_SPREAD
from aiapi_operator.simulate.ground_truth import GroundTruth, target_utilization
from aiapi_operator.simulate.measure import RunResult
from aiapi_operator.simulate.policies import catalogue
from aiapi_operator.simulate.policies.baselines import OraclePolicy
from aiapi_operator.simulate.policies.policy import PolicyDecision
from aiapi_operator.simulate.requests import Workload
from aiapi_operator.simulate.run import Simulation
from aiapi_operator.simulate.scenario import Scenario, ServiceModel
from aiapi_operator.simulate.snapshot import FleetSnapshot
from aiapi_operator.simulate.traces import Floats, Trace
from aiapi_operator.sizing import plan
from aiapi_operator.sizing.inputs import LatencyObjective
from aiapi_operator.sizing.state import Size

SMALL = "small fleet"
CLASSES = (*SHAPES, SMALL)
SECONDS = 3600
MAX_RATE = 6000.0
"""Requests per second at the peak: more would take minutes to simulate."""
CONNECTIONS = 500
"""Connections of a busy worker, at least. Few spread so unevenly that no fleet meets an objective:
50 per worker differ by 14 % (one sigma), 500 by 4 %."""
FIRST_WINDOWS = 2
"""Windows that do not count: the operator has just started."""
FEASIBLE = 0.99
"""Share of windows that the oracle must meet."""
RESERVES = (0.0, 0.03, 0.06, 0.1, 0.15, 0.25)
"""Shares added to the oracle's need, until it meets the objective."""
SPREAD = 120.0
"""Seconds in which new pods get most of their share: twice the lifetime of a connection."""
MARGIN = 1.2
"""Threshold over the base latency, at least: one bucket of a pod's latency histogram."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """One drawn load and service."""

    kind: str
    seed: int
    index: int
    rates: Floats
    """Relative, by second."""
    period: int
    """Seconds."""
    peak: int
    pod_start: float
    demand: float
    multiple: float
    """Threshold of the objective, above the base latency, in service demands."""

    @property
    def name(self) -> str:
        """What was drawn."""
        return (
            f"{self.kind} {self.seed}.{self.index}: {self.peak} workers, period {self.period} s,"
            f" pod start {self.pod_start:.0f} s, {1000 * self.demand:.1f} ms per request"
        )


def draws(seed: int, count: int, *, quick: bool = False) -> Iterator[Draw]:
    """``count`` loads of each class. ``quick``: half as long, and fewer requests."""
    for number, kind in enumerate(CLASSES):
        for index in range(count):
            yield _draw(
                kind, seed, index, np.random.default_rng([seed, number, index]), quick=quick
            )


def _draw(kind: str, seed: int, index: int, rng: np.random.Generator, *, quick: bool) -> Draw:
    seconds, max_rate = (SECONDS // 2, MAX_RATE / 4) if quick else (SECONDS, MAX_RATE)
    shape = str(rng.choice(list(SHAPES))) if kind == SMALL else kind
    period = blocks(_log_uniform(rng, (PERIOD[0], min(PERIOD[1], 2.0 * seconds))))
    demand = _log_uniform(rng, DEMAND)
    peak = round(_log_uniform(rng, SMALL_PEAK if kind == SMALL else PEAK))
    lowest = SMALL_PEAK[0] if kind == SMALL else PEAK[0]
    length = max(seconds, 60 * round(period / 60))
    return Draw(
        kind=kind,
        seed=seed,
        index=index,
        rates=SHAPES[shape](np.arange(float(length)), float(period), float(rng.uniform(*LOW)), rng),
        period=period,
        peak=max(lowest, min(peak, int(max_rate * demand))),
        pod_start=_log_uniform(rng, POD_START),
        demand=demand,
        multiple=float(rng.uniform(3, 12)),
    )


def _log_uniform(rng: np.random.Generator, bounds: tuple[float, float]) -> float:
    return float(np.exp(rng.uniform(*np.log(bounds))))


def case(draw: Draw) -> Case:
    """The load with its busiest minute at the peak."""
    scenario = Scenario.model_validate(
        {
            "service": {
                "loop": {"mean": f"{1000 * draw.demand:.3f}ms"},
                "pods": {"start": f"{1000 * draw.pod_start:.0f}ms"},
                "clients": {"period": f"{max(10.0, CONNECTIONS * draw.demand):.1f}s"},
            }
        }
    )
    service = scenario.service
    base = _base_p95(service)
    threshold = base + max((MARGIN - 1) * base, draw.multiple * draw.demand)
    objective = LatencyObjective(percentile=95.0, threshold=threshold)
    spec = sizing_spec_for(scenario, objective, draw.peak)
    rate = draw.peak * target_utilization(service, objective) / service.demand
    busiest = np.convolve(draw.rates, np.ones(60) / 60, "valid").max()
    rng = np.random.default_rng([draw.seed, draw.index, 7])
    counts = rng.poisson(draw.rates * rate / busiest).astype(np.float64)
    load = Workload(trace=Trace(name=draw.name, counts=counts), service=service, seed=draw.seed)
    return Case(name=draw.name, load=load, spec=spec)


def _base_p95(service: ServiceModel) -> float:
    rng = np.random.default_rng(11)
    drawn = service.draw_loop(rng, 100_000) + service.draw_upstream(rng, 100_000)
    return float(np.percentile(drawn, 95))


class FullPods:
    """The pods that the past needed, each with the maximum of workers. It ignores the cost.

    It knows the service, and the requests of each second that is over. So what it misses while
    pods start and get their share of the connections would have taken them before anything showed
    that they would be needed.
    """

    name = "full pods"
    instant = False

    def __init__(self, truth: GroundTruth) -> None:
        self._truth = truth
        self._spec = truth.spec
        self.interval = truth.spec.interval
        self._needed: list[tuple[float, int]] = []
        self.ordered: list[float] = []
        """When pods were added."""
        self.initial_size = self._size(self._replicas(truth.load.trace.counts[:60]))

    def decide(self, snapshot: FleetSnapshot) -> PolicyDecision:
        """The most pods that any 4 s of the last 300 s needed."""
        now = int(snapshot.now)
        if now:
            recent = self._truth.load.trace.counts[max(0, now - 4) : now]
            self._needed.append((snapshot.now, self._replicas(recent)))
        kept = snapshot.now - self._spec.replicas_down_after
        self._needed = [each for each in self._needed if each[0] >= kept]
        most = max((pods for _, pods in self._needed), default=snapshot.size.replicas)
        if most > snapshot.size.replicas:
            self.ordered.append(snapshot.now)
        return PolicyDecision(size=self._size(most), why="at any price")

    def _replicas(self, counts: Floats) -> int:
        return plan.cheapest(self._spec, self._truth.need_for_counts(counts)).replicas

    def _size(self, replicas: int) -> Size:
        return Size(workers=self._spec.workers.max, replicas=replicas)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How the operator and the oracle did on one generated load."""

    kind: str
    name: str
    threshold: float
    reserve: float
    """What the oracle needed beyond its minimum."""
    windows: int
    """With requests, after the first two."""
    met: int
    oracle_met: int
    foresight: int
    """Windows that no policy without foresight could meet."""
    missed_anyway: int
    """Of these, those that the operator missed."""
    cost: float
    """Core-hours over the oracle's."""
    excess: int
    """The longest time above 1.5 x the need plus one pod's workers, in seconds."""
    turns: float
    """Direction changes per hour."""

    @property
    def attainment(self) -> float:
        """Share met of the windows that could be met."""
        possible = self.windows - self.foresight
        met = self.met - (self.foresight - self.missed_anyway)
        return met / possible if possible else 1.0


def play(draw: Draw) -> Outcome | None:
    """Run oracle, operator and the policy at any price; None if even the oracle cannot meet it."""
    found = case(draw)
    truth = GroundTruth(found.load, found.spec)
    for reserve in RESERVES:
        oracle = Simulation(found.load, found.spec, OraclePolicy(truth, reserve)).run()
        if _met(oracle, found).mean() >= FEASIBLE:
            return _outcome(draw, found, truth, oracle, reserve)
    return None


def _outcome(
    draw: Draw, found: Case, truth: GroundTruth, oracle: RunResult, reserve: float
) -> Outcome:
    policy = catalogue.build("aiapi", truth, pod_workers=1)
    own = Simulation(found.load, found.spec, policy).run()
    met, impossible = _met(own, found), _takes_foresight(found, truth)
    return Outcome(
        kind=draw.kind,
        name=draw.name,
        threshold=found.spec.objective.threshold,
        reserve=reserve,
        windows=len(met),
        met=int(met.sum()),
        oracle_met=int(_met(oracle, found).sum()),
        foresight=int(impossible.sum()),
        missed_anyway=int((impossible & ~met).sum()),
        cost=own.core_hours / oracle.core_hours,
        excess=longest_excess(own, truth, policy.initial_size),
        turns=own.direction_changes_per_hour,
    )


def _takes_foresight(found: Case, truth: GroundTruth) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """For each window, whether no policy can meet it that does not know the future."""
    full = FullPods(truth)
    missed = ~_met(Simulation(found.load, found.spec, full).run(), found)
    pods = found.load.service.pods
    until = (1 + START_SPREAD) * parse_duration(pods.start) + SPREAD
    starts = [60 * (FIRST_WINDOWS + index) for index in range(len(missed))]
    waits = [any(at < start + 60 and start < at + until for at in full.ordered) for start in starts]
    return missed & np.array(waits)


def _met(result: RunResult, found: Case) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """For each window after the first two, whether it met the objective."""
    share = found.spec.objective.percentile / 100
    windows = result.minutes[FIRST_WINDOWS:]
    return np.array([each.in_time >= each.requests * share - 1e-9 for each in windows])


def of_class(outcomes: Sequence[Outcome], kind: str) -> list[Outcome]:
    """The outcomes of one class."""
    return [each for each in outcomes if each.kind == kind]
