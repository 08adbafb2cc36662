"""The goals of the right-sizer, each as a row with its result."""

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
    """A goal and its result."""

    measure: str
    must: str
    found: str
    holds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResults:
    """The results of all policies on one case."""

    case: Case
    peak: int
    results: dict[str, RunResult]
    """By policy, at the default setting."""
    best: dict[str, tuple[RunResult, str]]
    """Other autoscalers at their best setting for this load, with the setting."""

    @property
    def own(self) -> RunResult:
        """The operator's result."""
        return self.results["aiapi"]

    def vs_oracle(self, result: RunResult) -> float:
        """Cost divided by the oracle's."""
        return result.core_hours / self.results["oracle"].core_hours


def of_case(case_results: CaseResults) -> Iterator[Goal]:
    """The goals of one trace."""
    own, where = case_results.own, f"{case_results.case.name}, {case_results.peak} workers"
    yield Goal(
        measure=f"{where}: windows that meet the objective",
        must=">= 99.5 %",
        found=f"{100 * own.attainment_windows:.2f} %",
        holds=own.attainment_windows >= WINDOWS,
    )
    cost = case_results.vs_oracle(own)
    yield Goal(
        measure=f"{where}: cost relative to the oracle",
        must="<= 1.10",
        found=f"{cost:.3f}",
        holds=cost <= COST,
    )
    if case_results.case.name == "steady":
        turns = own.direction_changes_per_hour
        yield Goal(
            measure=f"{where}: direction changes per hour",
            must="<= 2",
            found=f"{turns:.1f}",
            holds=turns <= 2,
        )
    for name, (peer, setting) in case_results.best.items():
        yield from _against(case_results, name, peer, setting)


def _against(case_results: CaseResults, name: str, peer: RunResult, setting: str) -> Iterator[Goal]:
    own = case_results.own
    costlier = own.core_hours > peer.core_hours
    worse = own.attainment_windows < peer.attainment_windows
    ratio = own.core_hours / peer.core_hours
    found = (
        f"{100 * own.attainment_windows:.2f} % vs {100 * peer.attainment_windows:.2f} % of"
        f" windows, cost x{ratio:.2f}"
    )
    where = f"{case_results.case.name}, {case_results.peak} workers: {name} ({setting})"
    yield Goal(
        measure=where,
        must="not both more expensive and worse",
        found=found,
        holds=not (costlier and worse),
    )
    if case_results.case.recorded and peer.attainment_windows >= own.attainment_windows:
        yield Goal(
            measure=where,
            must="20 % cheaper at equal attainment",
            found=f"{100 * (1 - ratio):.0f} %",
            holds=ratio <= CHEAPER,
        )


def of_faults(runs: Sequence[tuple[Case, dict[str, RunResult]]]) -> Iterator[Goal]:
    """The goals under faults."""
    for case, results in runs:
        if case.fault is None:
            continue
        if case.fault.kind is FaultKind.UPSTREAM_SLOW:
            added, kpa = (workers_added(case, results[name]) for name in ("aiapi", "kpa"))
            yield Goal(
                measure="upstream 3x slower at constant load: workers added",
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
    """Maximum workers during the fault, less the maximum in the ten minutes before it."""
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
    """Scale-downs during the fault."""
    assert case.fault is not None
    return sum(
        case.fault.start <= change.at < case.fault.end and change.after.total < change.before.total
        for change in result.changes
    )


def time_to_right_size() -> Goal:
    """Seconds from a 4x step in load until the needed workers are requested."""
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
        measure=f"step x4: time until the {needed:.1f} needed workers are requested",
        must="<= 5 s",
        found=f"{reached[0]:.0f} s" if reached else "never",
        holds=bool(reached) and reached[0] <= 5,
    )


def of_decide() -> Iterator[Goal]:
    """Duration of a decision for large fleets."""
    for pods, limit_ms in ((100, 1.0), (1000, 10.0)):
        took = median(deciding.measure(pods))
        yield Goal(
            measure=f"decide for {pods:,} pods, median",
            must=f"<= {limit_ms:g} ms",
            found=f"{took:.2f} ms",
            holds=took <= limit_ms,
        )


def day() -> tuple[float, float]:
    """CPU seconds and MB to simulate a day at 64 requests a second. Call it in a new process."""
    case = day_at_64()
    began = process_time()
    policy = catalogue.build("aiapi", GroundTruth(case.load, case.spec), pod_workers=1)
    Simulation(case.load, case.spec, policy).run()
    took = process_time() - began
    return took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def of_day(took: float, megabytes: float) -> Goal:
    """The goal for ``day``."""
    return Goal(
        measure="one day at 64/s, one policy: CPU time on one core, memory",
        must="<= 60 s, <= 500 MB",
        found=f"{took:.0f} s, {megabytes:.0f} MB",
        holds=took <= 60 and megabytes <= 500,
    )
