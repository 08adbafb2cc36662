"""What the right-sizer must show, each as a row: the goal, what arrived of it, whether it holds."""

import resource
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from time import process_time

import decide as deciding
import numpy as np
from sizing_loads import BEGIN, SEED, Case, day_at_64

from aiapi_operator.simulate.compare import sizing_spec_for
from aiapi_operator.simulate.faults import FaultKind
from aiapi_operator.simulate.ground_truth import GroundTruth
from aiapi_operator.simulate.measure import RunResult
from aiapi_operator.simulate.policies import catalogue
from aiapi_operator.simulate.requests import Workload
from aiapi_operator.simulate.run import Simulation
from aiapi_operator.simulate.scenario import Scenario
from aiapi_operator.simulate.traces import Trace

WINDOWS = 0.995
COST = 1.10
CHEAPER = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One row."""

    measure: str
    must: str
    found: str
    holds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """All that was played on one case."""

    case: Case
    peak: int
    results: dict[str, RunResult]
    """By policy: the operator, the yardsticks, and peers at their default setting."""
    best: dict[str, tuple[RunResult, str]]
    """Peers at the setting that suits this load best, and which that is."""

    @property
    def own(self) -> RunResult:
        """The operator's."""
        return self.results["aiapi"]

    def vs_oracle(self, result: RunResult) -> float:
        """Cost over the oracle's."""
        return result.core_hours / self.results["oracle"].core_hours


def of_case(outcome: Outcome) -> Iterator[Goal]:
    """Rows of one trace."""
    own, where = outcome.own, f"{outcome.case.name}, {outcome.peak} workers"
    yield Goal(
        measure=f"{where}: windows that meet the objective",
        must=">= 99.5 %",
        found=f"{100 * own.attainment_windows:.2f} %",
        holds=own.attainment_windows >= WINDOWS,
    )
    cost = outcome.vs_oracle(own)
    yield Goal(
        measure=f"{where}: cost against the oracle",
        must="<= 1.10",
        found=f"{cost:.3f}",
        holds=cost <= COST,
    )
    if outcome.case.name == "steady":
        turns = own.direction_changes_per_hour
        yield Goal(
            measure=f"{where}: direction changes an hour",
            must="<= 2",
            found=f"{turns:.1f}",
            holds=turns <= 2,
        )
    for name, (peer, setting) in outcome.best.items():
        yield from _against(outcome, name, peer, setting)


def _against(outcome: Outcome, name: str, peer: RunResult, setting: str) -> Iterator[Goal]:
    own = outcome.own
    dearer = own.core_hours > peer.core_hours
    worse = own.attainment_windows < peer.attainment_windows
    ratio = own.core_hours / peer.core_hours
    found = (
        f"{100 * own.attainment_windows:.2f} % against {100 * peer.attainment_windows:.2f} % of"
        f" windows, cost x{ratio:.2f}"
    )
    where = f"{outcome.case.name}, {outcome.peak} workers: {name} ({setting})"
    yield Goal(
        measure=where, must="not both dearer and worse", found=found, holds=not (dearer and worse)
    )
    if outcome.case.recorded and peer.attainment_windows >= own.attainment_windows:
        yield Goal(
            measure=where,
            must="20 % cheaper at equal attainment",
            found=f"{100 * (1 - ratio):.0f} %",
            holds=ratio <= CHEAPER,
        )


def of_faults(played: Sequence[tuple[Case, dict[str, RunResult]]]) -> Iterator[Goal]:
    """Rows of the faults."""
    for case, results in played:
        if case.fault is None:
            continue
        if case.fault.kind is FaultKind.UPSTREAM_SLOW:
            added, kpa = (workers_added(case, results[name]) for name in ("aiapi", "kpa"))
            yield Goal(
                measure="upstream x3 slower at constant load: workers added",
                must="0",
                found=f"{added} (kpa: {kpa})",
                holds=added == 0,
            )
        if case.fault.kind is FaultKind.METRICS_GONE:
            downs = scale_downs(case, results["aiapi"])
            yield Goal(
                measure="5 min without metrics: scale-downs",
                must="0",
                found=str(downs),
                holds=downs == 0,
            )


def workers_added(case: Case, result: RunResult) -> int:
    """Workers at the most during the fault, over the most in the ten minutes before it."""
    assert case.fault is not None
    start, end = case.fault.start, case.fault.end
    size = result.changes[0].before.total if result.changes else result.max_workers
    before = during = 0
    for change in result.changes:
        if change.at >= start - 600 and before == 0:
            before = size
        if change.at >= start and during == 0:
            during = size
        size = change.after.total
        if start - 600 <= change.at < start:
            before = max(before, size)
        elif start <= change.at < end:
            during = max(during, size)
    return max(0, (during or size) - (before or size))


def scale_downs(case: Case, result: RunResult) -> int:
    """How often the fleet was made smaller during the fault."""
    assert case.fault is not None
    return sum(
        case.fault.start <= change.at < case.fault.end and change.after.total < change.before.total
        for change in result.changes
    )


def time_to_right_size() -> Goal:
    """Seconds from a step x4 until the workers that its load needs are ordered."""
    rate = np.array([100.0] * int(BEGIN / 2) + [400.0] * 120)
    counts = np.random.default_rng(SEED).poisson(rate).astype(np.float64)
    scenario = Scenario()
    spec = sizing_spec_for(scenario, None, None)
    load = Workload(trace=Trace(name="step", counts=counts), service=scenario.service, seed=SEED)
    truth = GroundTruth(load, spec)
    result = Simulation(load, spec, catalogue.build("aiapi", truth, pod_workers=1)).run()
    needed, begin = truth.need(400.0).total, BEGIN / 2
    reached = [
        change.at - begin
        for change in result.changes
        if change.at >= begin and change.after.total >= needed
    ]
    return Goal(
        measure=f"step x4: time until the {needed:.1f} workers needed are ordered",
        must="<= 5 s",
        found=f"{reached[0]:.0f} s" if reached else "never",
        holds=bool(reached) and reached[0] <= 5,
    )


def of_decide() -> Iterator[Goal]:
    """Time of a decision for large fleets."""
    for pods, most in ((100, 1.0), (1000, 10.0)):
        took = median(deciding.measure(pods))
        yield Goal(
            measure=f"decide for {pods:,} pods, median",
            must=f"<= {most:g} ms",
            found=f"{took:.2f} ms",
            holds=took <= most,
        )


def day() -> tuple[float, float]:
    """CPU seconds and MB that a day at 64 requests a second takes. Call it in a fresh process."""
    case = day_at_64()
    began = process_time()
    policy = catalogue.build("aiapi", GroundTruth(case.load, case.spec), pod_workers=1)
    Simulation(case.load, case.spec, policy).run()
    took = process_time() - began
    return took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def of_day(took: float, megabytes: float) -> Goal:
    """The row for it."""
    return Goal(
        measure="one day at 64/s, one policy: CPU time on one core, memory",
        must="<= 60 s, <= 500 MB",
        found=f"{took:.0f} s, {megabytes:.0f} MB",
        holds=took <= 60 and megabytes <= 500,
    )
