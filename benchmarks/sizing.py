"""All policies on synthetic loads and the traces of a directory. Run: make bench-sizing TRACES=DIR.

The traces are not part of the project. Suitable public ones:

- Azure LLM inference trace 2023: https://github.com/Azure/AzurePublicDataset (CC-BY-4.0); convert
  its timestamps to seconds from the first, in a column arrival_s.
- Twitter, August 2021, and NASA-HTTP (Internet Traffic Archive), requests in each second:
  https://github.com/reconfigurable-ml-pipeline/web-service-datasets, in a column
  requests_per_second.

Each other autoscaler also runs at the best of a few settings (workers per pod, target): the
cheapest setting that meets the objective at least as often as the operator, else the setting that
meets it most often. The settings are tried on the busiest hour of the same load, which is not
possible in production. At large peaks a trace is cut to its busiest hours, so that the benchmark
takes minutes instead of days; the trace's name then shows it. Writes a table, JSON, and a page
with charts for each load.
"""

import argparse
import json
import multiprocessing
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from itertools import product
from pathlib import Path
from time import monotonic

from rich.console import Console
from rich.table import Table
from sizing_goals import (
    CaseResults,
    Goal,
    day,
    of_case,
    of_day,
    of_decide,
    of_faults,
    scale_downs,
    time_to_right_size,
    workers_added,
)
from sizing_loads import SEED, Case, busiest, fault_cases, recorded, scaled_case, synthetic

from aiapi_operator.simulate import page, report
from aiapi_operator.simulate.compare import Comparison
from aiapi_operator.simulate.ground_truth import GroundTruth
from aiapi_operator.simulate.measure import RunResult
from aiapi_operator.simulate.policies import catalogue
from aiapi_operator.simulate.run import Simulation
from aiapi_operator.simulate.traces import Trace

BASELINES = ("aiapi", "static", "oracle")
PEERS = tuple(name for name in catalogue.NAMES if name not in BASELINES)
POD_WORKERS = (1, 2, 4)
FACTORS = (0.5, 0.75, 1.0, 1.4)
DEFAULT = (2, 1.0)
FAULT_POLICIES = ("aiapi", "kpa", "hpa-cpu")
LARGE = 100
"""Above this peak only the busiest hours are simulated."""
LARGE_HOURS = 2.0
SWEEP_HOURS = 1.0

Setting = tuple[int, float]
Job = tuple[int, str, Setting]
"""(case, policy, setting)"""

_cases: list[Case] = []
"""Inherited by the forked worker processes, so nothing is copied."""


def _simulate(job: Job) -> RunResult:
    index, name, (workers, factor) = job
    case = _cases[index]
    policy = catalogue.build(
        name, GroundTruth(case.load, case.spec), pod_workers=workers, factor=factor
    )
    return Simulation(case.load, case.spec, policy).run()


def simulate(cases: Sequence[Case], jobs: Sequence[Job]) -> list[RunResult]:
    """Run all simulations on all cores."""
    _cases[:] = cases
    fork = multiprocessing.get_context("fork")
    with fork.Pool(os.cpu_count(), maxtasksperchild=8) as pool:
        return pool.map(_simulate, jobs, chunksize=1)


def best_settings(cases: Sequence[Case]) -> list[dict[str, Setting]]:
    """For each case, the best setting of each other autoscaler for its busiest hour."""
    hours = [
        replace(case, load=replace(case.load, trace=busiest(case.load.trace, SWEEP_HOURS)))
        for case in cases
    ]
    own = simulate(hours, [(index, "aiapi", DEFAULT) for index in range(len(hours))])
    settings = list(product(POD_WORKERS, FACTORS))
    jobs = list(product(range(len(hours)), PEERS, settings))
    found: list[dict[str, dict[Setting, RunResult]]] = [{} for _ in cases]
    for (index, name, setting), result in zip(jobs, simulate(hours, jobs), strict=True):
        found[index].setdefault(name, {})[setting] = result
    return [
        {name: _best(tried, goal.attainment_windows) for name, tried in peers.items()}
        for peers, goal in zip(found, own, strict=True)
    ]


def _best(tried: dict[Setting, RunResult], goal: float) -> Setting:
    good = {key: each for key, each in tried.items() if each.attainment_windows >= goal}
    if good:
        return min(good, key=lambda key: good[key].core_hours)
    return max(tried, key=lambda key: tried[key].attainment_windows)


def run_cases(
    cases: Sequence[Case], peak: int, settings: list[dict[str, Setting]]
) -> list[CaseResults]:
    """Every policy on every case: at its default and, with ``settings``, at its best setting."""
    jobs: list[Job] = [(i, name, DEFAULT) for i in range(len(cases)) for name in catalogue.NAMES]
    extra = [
        (i, name, setting)
        for i, best in enumerate(settings)
        for name, setting in best.items()
        if setting != DEFAULT
    ]
    results = dict(zip([*jobs, *extra], simulate(cases, [*jobs, *extra]), strict=True))
    return [
        CaseResults(
            case=case,
            peak=peak,
            results={name: results[i, name, DEFAULT] for name in catalogue.NAMES},
            best={
                name: (results[i, name, setting], f"{setting[0]} workers, x{setting[1]:g}")
                for name, setting in (settings[i] if settings else {}).items()
            },
        )
        for i, case in enumerate(cases)
    ]


def comparison(case_results: CaseResults) -> Comparison:
    """The case as a comparison for the report; a best setting is a separate row."""
    best = [
        replace(result, policy=f"{name} ({setting})")
        for name, (result, setting) in case_results.best.items()
    ]
    return Comparison(
        load=case_results.case.load,
        spec=case_results.case.spec,
        pod_workers=DEFAULT[0],
        utilization=GroundTruth(case_results.case.load, case_results.case.spec).utilization,
        results=(*case_results.results.values(), *best),
        oracle=case_results.results["oracle"],
    )


def show(case_results: CaseResults, console: Console, out: Path) -> dict[str, object]:
    """Print the table of one load, write its page, and return its measures."""
    shown = comparison(case_results)
    console.print(f"\n{case_results.peak} workers at the peak. ", end="")
    report.print_introduction(shown, console)
    console.print(report.table(shown))
    name = "".join(letter if letter.isalnum() else "-" for letter in case_results.case.name)
    file = out / f"{name}-{case_results.peak}.html"
    file.write_text(page.render(shown), "utf-8")
    return {"peak_workers": case_results.peak, "page": file.name, **report.as_json(shown)}


def run_faults() -> list[tuple[Case, dict[str, RunResult]]]:
    """Each fault with some of the policies."""
    cases = list(fault_cases())
    jobs: list[Job] = [(i, name, DEFAULT) for i in range(len(cases)) for name in FAULT_POLICIES]
    results = dict(zip(jobs, simulate(cases, jobs), strict=True))
    return [
        (case, {name: results[i, name, DEFAULT] for name in FAULT_POLICIES})
        for i, case in enumerate(cases)
    ]


def fault_table(runs: Sequence[tuple[Case, dict[str, RunResult]]]) -> Table:
    """How each policy reacted to each fault."""
    columns = ("load, fault", "policy", "workers added", "scale-downs in fault", "windows met")
    table = Table(box=None, pad_edge=False)
    for column in (*columns, "shed", "failed", "retries"):
        table.add_column(column, no_wrap=True)
    for case, results in runs:
        for name, result in results.items():
            known = case.fault is not None
            table.add_row(
                case.name,
                name,
                str(workers_added(case, result)) if known else "",
                str(scale_downs(case, result)) if known else "",
                f"{100 * result.attainment_windows:.2f} %",
                f"{result.shed:,}",
                f"{result.failed:,}",
                f"{result.retries:,}",
            )
    return table


def goal_table(goals: Sequence[Goal]) -> Table:
    """The goals and their results."""
    table = Table(box=None, pad_edge=False)
    for column in ("measure", "must", "found", ""):
        table.add_column(column, overflow="fold")
    for goal in goals:
        table.add_row(goal.measure, goal.must, goal.found, "holds" if goal.holds else "MISSED")
    return table


def machine() -> str:
    """The machine, the versions, and the command."""
    return (
        f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()},"
        f" numpy {version('numpy')}, aiapi {version('aiapi')}, seed {SEED}:"
        f" {shlex.join(['python', *sys.argv])}"
    )


def cut(trace: Trace, peak: int) -> Trace:
    """The part of a trace that is simulated at this peak."""
    return busiest(trace, LARGE_HOURS) if peak > LARGE else trace


def run(folder: Path | None, peaks: Sequence[int], out: Path, *, sweep: bool, only: str) -> None:
    began, console = monotonic(), Console(width=210)
    console.print(machine(), highlight=False, soft_wrap=True)
    out.mkdir(parents=True, exist_ok=True)
    with multiprocessing.get_context("fork").Pool(1) as alone:
        goals = [of_day(*alone.apply(day))]
    goals += [*of_decide(), time_to_right_size()]
    all_traces = [(trace, False) for trace in synthetic()]
    all_traces += [(trace, True) for trace in recorded(folder)] if folder else []
    all_traces = [(trace, real) for trace, real in all_traces if only in trace.name]
    written, settings = [], []
    for peak in peaks:
        cases = [scaled_case(cut(each, peak), peak, recorded=real) for each, real in all_traces]
        if sweep and not settings:
            settings = best_settings(cases)
        for case_results in run_cases(cases, peak, settings):
            written.append(show(case_results, console, out))
            goals += of_case(case_results)
    faults = run_faults()
    console.print()
    console.print(fault_table(faults))
    goals += of_faults(faults)
    console.print()
    console.print(goal_table(goals))
    held = sum(goal.holds for goal in goals)
    took = monotonic() - began
    console.print(f"{held} of {len(goals)} goals hold; {took:.0f} s in total; pages in {out}")
    content = {
        "machine": machine(),
        "seconds": took,
        "goals": [asdict(goal) for goal in goals],
        "runs": written,
    }
    (out / "sizing.json").write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    (out / "sizing.md").write_text(markdown(goals), "utf-8")


def markdown(goals: Sequence[Goal]) -> str:
    """The goals as a Markdown table."""
    rows = [
        f"| {goal.measure} | {goal.must} | {goal.found} | {'holds' if goal.holds else 'missed'} |"
        for goal in goals
    ]
    head = [machine(), "", "| measure | must | found | |", "| --- | --- | --- | --- |"]
    return "\n".join([*head, *rows, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--traces", type=Path, help="directory with traces")
    parser.add_argument("--peaks", type=int, nargs="+", default=[24, 200])
    parser.add_argument(
        "--no-sweep",
        action="store_true",
        help="run other autoscalers at their default setting only",
    )
    parser.add_argument("--only", default="", help="run only loads whose name contains this")
    parser.add_argument("--out", type=Path, default=Path("build/bench-sizing"))
    arguments = parser.parse_args()
    if arguments.traces is None:
        print(
            "No directory of traces is set (TRACES=DIR): running synthetic loads only.",
            file=sys.stderr,
        )
    run(
        arguments.traces,
        arguments.peaks,
        arguments.out,
        sweep=not arguments.no_sweep,
        only=arguments.only,
    )


if __name__ == "__main__":
    main()
