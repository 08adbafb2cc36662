"""The goals of the right-sizer on generated loads, traces and faults. Run: make bench-sizing.

The traces (TRACES=DIR) are not part of the project. Suitable public ones:

- Azure LLM inference trace 2023: https://github.com/Azure/AzurePublicDataset (CC-BY-4.0); convert
  its timestamps to seconds from the first, in a column arrival_s.
- Twitter, August 2021, and NASA-HTTP (Internet Traffic Archive), requests in each second:
  https://github.com/reconfigurable-ml-pipeline/web-service-datasets, in a column
  requests_per_second.

Without traces, synthetic loads take their place. At more than 100 workers a trace is cut to its
busiest two hours, unless ``--whole``; the name shows it. Each peer runs at its best setting, found
on the first part of the same load (sizing_peers.py). Writes the rows to sizing.json, a table in
Markdown, and a page with charts for each trace.
"""

import argparse
import os
import platform
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from time import monotonic

import goal_rows
import sizing_generated as generated
import sizing_goals as goals
import sizing_peers as peers
import sizing_pool as pool
from goal_rows import Row
from rich.console import Console
from rich.table import Table
from sizing_loads import (
    Case,
    busiest,
    fault_cases,
    recorded,
    scaled_case,
    synthetic,
)
from sizing_peers import CaseResults

from aiapi_demo import cpu_wait
from aiapi_operator.simulate import page, report
from aiapi_operator.simulate.compare import Comparison
from aiapi_operator.simulate.faults import FaultKind
from aiapi_operator.simulate.ground_truth import GroundTruth
from aiapi_operator.simulate.measure import RunResult

FAULT_POLICIES = ("aiapi", "kpa", "hpa-cpu")
GOAL_FAULTS = (FaultKind.UPSTREAM_SLOW, FaultKind.METRICS_GONE)
LARGE = 100
"""Above this peak only the busiest hours are simulated."""
LARGE_HOURS = 2.0
SWEPT = "swept on the first part"
USUAL = "its defaults"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The command line."""

    traces: Path | None
    peaks: tuple[int, ...]
    seeds: tuple[int, ...]
    generated: int
    """Loads of each class and seed."""
    defaults: bool
    whole: bool
    quick: bool
    only: str
    out: Path


def of_traces(options: Options, console: Console) -> Iterator[Row]:
    """Traces at each peak: the operator with every seed, the peers with the first."""
    found = list(recorded(options.traces) if options.traces else synthetic(quick=options.quick))
    found = [trace for trace in found if options.only in trace.name]
    for peak in options.peaks:
        cut = [
            busiest(trace, LARGE_HOURS) if peak > LARGE and not options.whole else trace
            for trace in found
        ]
        runs = []
        for seed in options.seeds:
            cases = [scaled_case(each, peak, seed=seed) for each in cut]
            settings = _settings(options, cases) if seed == options.seeds[0] else []
            runs += peers.run_cases(cases, settings)
        for run in runs[: len(cut)]:
            show(run, peak, console, options.out)
        yield from goals.of_traces(runs, peak)
        yield from goals.of_peers(runs, peak, USUAL if options.defaults else SWEPT)


def _settings(options: Options, cases: Sequence[Case]) -> list[dict[str, pool.Setting]]:
    if options.defaults:
        return peers.defaults(len(cases))
    settings = peers.QUICK_SETTINGS if options.quick else peers.SETTINGS
    return peers.best_settings(cases, settings)


def show(run: CaseResults, peak: int, console: Console, out: Path) -> None:
    """Print the table of one trace, and write its page."""
    shown = Comparison(
        load=run.case.load,
        spec=run.case.spec,
        pod_workers=pool.DEFAULT.pod_workers,
        utilization=GroundTruth(run.case.load, run.case.spec).utilization,
        results=(
            *run.own.values(),
            *(replace(peer, policy=f"{name} ({at})") for name, (at, peer) in run.peers.items()),
        ),
        oracle=run.own["oracle"],
    )
    console.print(f"\n{peak} workers at the peak. ", end="")
    report.print_introduction(shown, console)
    console.print(report.table(shown))
    name = "".join(letter if letter.isalnum() else "-" for letter in run.case.name)
    (out / f"{name}-{peak}.html").write_text(page.render(shown), "utf-8")


def of_generated(options: Options, console: Console) -> Iterator[Row]:
    """Generated loads of each seed."""
    drawn = [
        draw
        for seed in options.seeds
        for draw in generated.draws(seed, options.generated, quick=options.quick)
        if options.only in draw.name
    ]
    outcomes = pool.every(generated.play, drawn)
    console.print()
    console.print(generated_table(drawn, outcomes))
    return goals.of_generated(outcomes)


def generated_table(
    drawn: Sequence[generated.Draw], outcomes: Sequence[generated.Outcome | None]
) -> Table:
    """One line per generated load."""
    columns = ("generated load", "windows met", "foresight", "oracle's reserve", "cost")
    table = Table(box=None, pad_edge=False)
    for column in (*columns, "excess", "turns/h"):
        table.add_column(column, no_wrap=True)
    for draw, outcome in zip(drawn, outcomes, strict=True):
        if outcome is None:
            table.add_row(draw.name, "not even the oracle meets it: left out")
            continue
        table.add_row(
            draw.name,
            f"{outcome.met}/{outcome.windows}",
            str(outcome.foresight or ""),
            f"{100 * outcome.reserve:.0f} %",
            f"{outcome.cost:.3f}",
            f"{outcome.excess} s",
            f"{outcome.turns:.1f}",
        )
    return table


def of_faults(options: Options, console: Console) -> Iterator[Row]:
    """Each fault with some of the policies; ``quick``: those that have a goal."""
    cases = [case for case in fault_cases() if not options.quick or has_goal(case)]
    jobs = [pool.Job(i, name) for i in range(len(cases)) for name in FAULT_POLICIES]
    results = pool.simulate(cases, jobs)
    runs = [
        (case, {name: results[pool.Job(i, name)] for name in FAULT_POLICIES})
        for i, case in enumerate(cases)
    ]
    console.print()
    console.print(fault_table(runs))
    yield from goals.of_faults(runs)
    yield goals.time_to_right_size()


def has_goal(case: Case) -> bool:
    """Whether a goal is measured under this fault."""
    return case.fault is not None and case.fault.kind in GOAL_FAULTS


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
                str(goals.workers_added(case, result)) if known else "",
                str(goals.scale_downs(case, result)) if known else "",
                f"{100 * result.attainment_windows:.2f} %",
                f"{result.shed:,}",
                f"{result.failed:,}",
                f"{result.retries:,}",
            )
    return table


def of_decide(_: Options, __: Console) -> Iterator[Row]:
    """Time of a decision."""
    return goals.of_decide()


PARTS: dict[str, Callable[[Options, Console], Iterator[Row]]] = {
    "decide": of_decide,
    "faults": of_faults,
    "generated": of_generated,
    "traces": of_traces,
}


def run(options: Options, parts: Sequence[str]) -> None:
    """Run the parts, print the goals, and write them."""
    began, before, console = monotonic(), cpu_wait.read(), Console(width=210)
    console.print(machine(options), highlight=False, soft_wrap=True)
    options.out.mkdir(parents=True, exist_ok=True)
    rows = [row for part in parts for row in PARTS[part](options, console)]
    rows += goal_rows.read(options.out / "fidelity.json")
    console.print()
    console.print(goal_table(rows))
    wait = cpu_wait.between(before, cpu_wait.read())
    held = sum(row.holds for row in rows)
    console.print(f"{held} of {len(rows)} goals hold; {monotonic() - began:.0f} s in total.")
    console.print(f"{wait} This concerns the time of a decision only.", highlight=False)
    goal_rows.write(
        options.out / "sizing.json",
        rows,
        machine=machine(options),
        seconds=monotonic() - began,
        comparable=wait.comparable,
        cpu_wait=wait.share,
    )
    (options.out / "sizing.md").write_text(markdown(rows, options, str(wait)), "utf-8")


def goal_table(rows: Sequence[Row]) -> Table:
    """The goals and their results."""
    table = Table(box=None, pad_edge=False)
    for column in ("name", "goal", "value", ""):
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(row.name, row.goal, row.value, "holds" if row.holds else "MISSED")
    return table


def machine(options: Options) -> str:
    """The machine, the versions, the seeds and the command."""
    return (
        f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()},"
        f" numpy {version('numpy')}, aiapi {version('aiapi')},"
        f" seeds {' '.join(map(str, options.seeds))}: {shlex.join(['python', *sys.argv])}"
    )


def markdown(rows: Sequence[Row], options: Options, wait: str) -> str:
    """The goals as a Markdown table."""
    lines = [
        f"| {row.name} | {row.goal} | {row.value} | {'holds' if row.holds else 'missed'} |"
        for row in rows
    ]
    head = [
        machine(options),
        "",
        wait,
        "",
        "| name | goal | value | |",
        "| --- | --- | --- | --- |",
    ]
    return "\n".join([*head, *lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--traces", type=Path, help="directory with traces")
    parser.add_argument("--peaks", type=int, nargs="+", help="workers at the peak: 24 200")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--generated", type=int, help="loads of each class and seed: 4")
    parser.add_argument("--defaults", action="store_true", help="peers at their defaults, no sweep")
    parser.add_argument("--whole", action="store_true", help="whole traces at large peaks, too")
    parser.add_argument("--quick", action="store_true", help="a few minutes, for CI")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--only", default="", help="run only loads whose name contains this")
    parser.add_argument("--jobs", type=int, help="simulations at once")
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    found = parser.parse_args()
    if found.jobs:
        pool.use(found.jobs)
    if found.traces is None:
        print("No directory of traces is set (TRACES=DIR): using synthetic loads.", file=sys.stderr)
    options = Options(
        traces=found.traces,
        peaks=tuple(found.peaks or ([12] if found.quick else [24, 200])),
        seeds=tuple(found.seeds),
        generated=found.generated or (1 if found.quick else 4),
        defaults=found.defaults,
        whole=found.whole,
        quick=found.quick,
        only=found.only,
        out=found.out,
    )
    run(options, found.parts)


if __name__ == "__main__":
    main()
