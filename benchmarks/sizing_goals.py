"""The goals of the right-sizer, each as a row: name, goal, value, and whether it holds."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median

import decide as deciding
import numpy as np
from goal_rows import Row
from sizing_generated import CLASSES, SMALL, Outcome, of_class
from sizing_loads import BEGIN, SEED, Case
from sizing_peers import CaseResults

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
DECIDE = {2: 0.3, 100: 1.0, 1000: 5.0}
"""Milliseconds by pods."""


def of_traces(runs: Sequence[CaseResults], peak: int) -> Iterator[Row]:
    """Windows and cost on each recorded trace, the worst of all seeds."""
    for name in dict.fromkeys(run.case.name for run in runs):
        mine = [run for run in runs if run.case.name == name]
        met = min(run.own["aiapi"].attainment_windows for run in mine)
        costs = [run.vs_oracle(run.own["aiapi"]) for run in mine]
        last_value = max(run.vs_oracle(run.own["aiapi-last-value"]) for run in mine)
        yield Row(
            name=f"{name}, {peak} workers: windows met",
            goal=">= 99.5 %",
            value=f"{100 * met:.2f} %",
            holds=met >= WINDOWS,
        )
        yield Row(
            name=f"{name}, {peak} workers: cost over the oracle's",
            goal="<= 1.10",
            value=f"{max(costs):.3f} (without forecast {last_value:.3f})",
            holds=max(costs) <= COST,
        )


def of_peers(runs: Sequence[CaseResults], peak: int, found: str) -> Iterator[Row]:
    """The operator against each peer, at the setting ``found`` so."""
    for run in runs:
        own = run.own["aiapi"]
        for name, (setting, peer) in run.peers.items():
            cost = own.core_hours / peer.core_hours
            met, theirs = own.attainment_windows, peer.attainment_windows
            yield Row(
                name=f"{run.case.name}, {peak} workers: against {name} ({setting}; {found})",
                goal=">= 20 % cheaper, and as many windows met or >= 99.5 %",
                value=f"{100 * (1 - cost):.0f} % cheaper, {100 * met:.2f} % of windows met against"
                f" {100 * theirs:.2f} %",
                holds=cost <= CHEAPER and met >= min(theirs, WINDOWS),
            )


def of_generated(outcomes: Sequence[Outcome | None]) -> Iterator[Row]:
    """The goals on generated loads, over all of them and by class."""
    feasible = [each for each in outcomes if each is not None]
    large = [each for each in feasible if each.kind != SMALL]
    yield from _windows("generated loads", feasible)
    yield from _cost("generated loads", large)
    for kind in CLASSES:
        mine = of_class(feasible, kind)
        if not mine:
            continue
        yield from _windows(kind, mine)
        yield from _small(mine) if kind == SMALL else _cost(kind, mine)
        longest = max(each.excess for each in mine)
        yield Row(
            name=f"{kind}: after two windows, longest above 1.5x the need plus one pod's workers",
            goal="<= 60 s",
            value=f"{longest} s",
            holds=longest <= 60,
        )
    steady = of_class(feasible, "steady")
    if steady:
        turns = max(each.turns for each in steady)
        yield Row(
            name="steady: direction changes per hour, at worst",
            goal="<= 2",
            value=f"{turns:.1f}",
            holds=turns <= 2,
        )


def _windows(kind: str, outcomes: Sequence[Outcome]) -> Iterator[Row]:
    windows = sum(each.windows for each in outcomes)
    foresight = sum(each.foresight for each in outcomes)
    met = sum(each.met for each in outcomes)
    oracle = sum(each.oracle_met for each in outcomes)
    without = met - foresight + sum(each.missed_anyway for each in outcomes)
    possible = windows - foresight
    share = without / possible if possible else 1.0
    yield Row(
        name=f"{kind}: windows met after the first two, without those that take foresight",
        goal=">= 99 %",
        value=f"{100 * share:.2f} % of {possible} (all {windows}: {100 * met / windows:.2f} %,"
        f" oracle {100 * oracle / windows:.2f} %; foresight: {foresight})",
        holds=share >= 0.99,
    )


def _cost(kind: str, outcomes: Sequence[Outcome]) -> Iterator[Row]:
    costs = [each.cost for each in outcomes]
    if not costs:
        return
    middle, worst = median(costs), max(costs)
    yield Row(
        name=f"{kind}: cost over the oracle's, median and worst of {len(costs)}",
        goal="<= 1.15, <= 1.30",
        value=f"{middle:.3f}, {worst:.3f}",
        holds=middle <= 1.15 and worst <= 1.30,
    )


def _small(outcomes: Sequence[Outcome]) -> Iterator[Row]:
    worst = max(each.cost for each in outcomes)
    yield Row(
        name=f"small fleets (2 to 6 workers): cost over the oracle's, worst of {len(outcomes)}",
        goal="<= 1.15",
        value=f"{worst:.3f}",
        holds=worst <= 1.15,
    )


def of_faults(runs: Sequence[tuple[Case, Mapping[str, RunResult]]]) -> Iterator[Row]:
    """The goals under faults."""
    for case, results in runs:
        if case.fault is None:
            continue
        if case.fault.kind is FaultKind.UPSTREAM_SLOW:
            added, kpa = (workers_added(case, results[name]) for name in ("aiapi", "kpa"))
            yield Row(
                name="upstream 3x slower at constant load: workers added",
                goal="0",
                value=f"{added} (kpa: {kpa})",
                holds=added == 0,
            )
        if case.fault.kind is FaultKind.METRICS_GONE:
            downs = scale_downs(case, results["aiapi"])
            yield Row(
                name="5 min without metrics: scale-downs",
                goal="0",
                value=str(downs),
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


def time_to_right_size() -> Row:
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
    return Row(
        name=f"step x4: time until the {needed:.1f} needed workers are requested",
        goal="<= 5 s",
        value=f"{reached[0]:.0f} s" if reached else "never",
        holds=bool(reached) and reached[0] <= 5,
    )


def of_decide() -> Iterator[Row]:
    """Duration of a decision by fleet size."""
    for pods, limit_ms in DECIDE.items():
        took = median(deciding.measure(pods))
        yield Row(
            name=f"decide for {pods:,} pods, median",
            goal=f"<= {limit_ms:g} ms",
            value=f"{took:.2f} ms",
            holds=took <= limit_ms,
        )
