"""All policies on the traces of a folder. Run: make bench-sizing TRACES=DIR [PEAKS="24 200"].

The traces are not part of the project. Public ones that suit:

- Azure LLM inference trace 2023: https://github.com/Azure/AzurePublicDataset (CC-BY-4.0); make its
  timestamps seconds from the first, in a column arrival_s.
- Twitter, August 2021, and NASA-HTTP (Internet Traffic Archive), requests in each second:
  https://github.com/reconfigurable-ml-pipeline/web-service-datasets, a column
  requests_per_second.

Synthetic loads are made here: step, flash crowd, sawtooth, ramp, and a day. For a peer, the
best of a few settings (workers a pod, target) is taken: of those that met the objective at
least as often as the operator the cheapest, else the one that met it most often. The settings
are tried on the very load they are judged by, which no one could do in life.
"""

import argparse
import json
import platform
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from itertools import product
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from aiapi_operator.simulate import report, traces
from aiapi_operator.simulate.compare import Comparison, compare, scaled, wishes
from aiapi_operator.simulate.faults import Fault, Faults, Kind
from aiapi_operator.simulate.measure import Change, Result
from aiapi_operator.simulate.policies import catalogue
from aiapi_operator.simulate.requests import Load
from aiapi_operator.simulate.run import Run
from aiapi_operator.simulate.service import Scenario
from aiapi_operator.simulate.traces import Trace
from aiapi_operator.simulate.truth import Truth
from aiapi_operator.sizing.inputs import SizingSpec

YARDSTICKS = ("aiapi", "static", "oracle")
PEERS = tuple(name for name in catalogue.NAMES if name not in YARDSTICKS)
POD_WORKERS = (1, 2, 4)
FACTORS = (0.5, 0.75, 1.0, 1.4)
HOUR = 3600
FAULT = (1200.0, 1500.0)
SEED = 1


def synthetic() -> Iterator[Trace]:
    """Shapes that traffic takes, at 100 requests a second; --peak-workers scales them."""
    second = np.arange(HOUR, dtype=np.float64)
    rates = {
        "step x4": np.where((second >= 1200) & (second < 2400), 100.0, 25.0),
        "flash crowd x10": 10.0 + np.clip((second - 1200) / 10, 0, 1) * 90.0 * (second < 1800),
        "sawtooth": 20.0 + 80.0 * (second % 600) / 600,
        "slow ramp": 10.0 + 90.0 * second / HOUR,
        "steady": np.full(HOUR, 100.0),
    }
    day = np.arange(24 * HOUR, dtype=np.float64)
    rates["diurnal"] = 55.0 - 45.0 * np.cos(2 * np.pi * day / len(day))
    rng = np.random.default_rng(SEED)
    for name, rate in rates.items():
        yield Trace(name=name, counts=rng.poisson(rate).astype(np.float64))


def recorded(folder: Path) -> Iterator[Trace]:
    """The traces of a folder."""
    for path in sorted(folder.iterdir()):
        if path.name.endswith((".csv", ".csv.gz")):
            yield traces.read(path)


def best_setting(name: str, truth: Truth, goal: float) -> tuple[Result, str]:
    """A peer at the setting that suits this load best, and which that is."""
    tried = []
    for workers, factor in product(POD_WORKERS, FACTORS):
        policy = catalogue.build(name, truth, pod_workers=workers, factor=factor)
        tried.append(
            (Run(truth.load, truth.spec, policy).play(), f"{workers} workers, x{factor:g}")
        )
    good = [each for each in tried if each[0].attainment_windows >= goal]
    if good:
        return min(good, key=lambda each: each[0].core_hours)
    return max(tried, key=lambda each: each[0].attainment_windows)


def print_best(comparison: Comparison, console: Console) -> None:
    """Each peer at its best setting, beside the operator."""
    own = next(each for each in comparison.results if each.policy == "aiapi")
    truth = Truth(comparison.load, comparison.spec)
    table = Table(box=None, pad_edge=False)
    for column in ("peer", "best setting", "windows met", "vs oracle", "vs aiapi"):
        table.add_column(column, no_wrap=True)
    for name in PEERS:
        result, setting = best_setting(name, truth, own.attainment_windows)
        table.add_row(
            name,
            setting,
            f"{100 * result.attainment_windows:.2f} %",
            f"{comparison.vs_oracle(result):.3f}",
            f"{result.core_hours / own.core_hours:.2f}",
        )
    console.print(table)


def scaled_down_during_the_fault(change: Change) -> bool:
    """Whether the fleet was made smaller while something else was wrong."""
    return FAULT[0] <= change.at < FAULT[1] and change.after.total < change.before.total


def print_faults(spec: SizingSpec, console: Console) -> None:
    """What each policy does when something else goes wrong at a constant load."""
    scenario = Scenario()
    table = Table(box=None, pad_edge=False)
    for column in (
        "fault at constant load",
        "policy",
        "most workers",
        "scale-downs",
        "windows met",
    ):
        table.add_column(column, no_wrap=True)
    trace = Trace(
        name="steady", counts=np.random.default_rng(SEED).poisson(400, HOUR).astype(np.float64)
    )
    for kind in (None, *Kind):
        faults = Faults(() if kind is None else (Fault(kind=kind, start=FAULT[0], end=FAULT[1]),))
        load = Load(trace=trace, service=scenario.service, seed=SEED, faults=faults)
        for each in compare(load, spec, ("aiapi", "kpa", "hpa-cpu"), pod_workers=2).results:
            table.add_row(
                "none" if kind is None else kind.value,
                each.policy,
                str(each.max_workers),
                str(sum(scaled_down_during_the_fault(change) for change in each.changes)),
                f"{100 * each.attainment_windows:.2f} %",
            )
    console.print(table)


def time_to_right_size(console: Console) -> None:
    """Seconds from a step x4 until the workers that its load needs are ordered."""
    counts = np.random.default_rng(SEED).poisson([100] * 600 + [400] * 120).astype(np.float64)
    scenario = Scenario()
    spec = wishes(scenario, None, None)
    load = Load(trace=Trace(name="step", counts=counts), service=scenario.service, seed=SEED)
    truth = Truth(load, spec)
    result = Run(load, spec, catalogue.build("aiapi", truth, pod_workers=1)).play()
    needed = truth.need(400.0).total
    reached = [each.at for each in result.changes if each.at >= 600 and each.after.total >= needed]
    told = f"{reached[0] - 600:.0f} s" if reached else "never"
    console.print(f"Step x4: {needed:.1f} workers needed, ordered after {told}")


def versions() -> str:
    """What it ran on."""
    return (
        f"{platform.platform()}, {platform.machine()}, Python {platform.python_version()},"
        f" numpy {version('numpy')}, aiapi {version('aiapi')}, seed {SEED}"
    )


def run(all_traces: Sequence[Trace], peaks: Sequence[int], out: Path, *, sweep: bool) -> None:
    console = Console(width=200)
    console.print(versions(), highlight=False)
    scenario = Scenario()
    written = []
    for peak, trace in product(peaks, all_traces):
        spec = wishes(scenario, None, peak)
        large = scaled(trace, scenario.service, spec.objective, peak, seed=SEED)
        load = Load(trace=large, service=scenario.service, seed=SEED)
        comparison = compare(load, spec, catalogue.NAMES, pod_workers=2)
        console.print(f"\n{peak} workers at the peak. ", end="")
        report.introduce(comparison, console)
        console.print(report.table(comparison))
        if sweep:
            print_best(comparison, console)
        written.append({"peak_workers": peak, **report.as_json(comparison)})
    console.print()
    print_faults(wishes(scenario, None, 24), console)
    time_to_right_size(console)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"versions": versions(), "runs": written}, indent=2) + "\n", "utf-8")
    console.print(f"{out}", highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--traces", type=Path, help="a folder with traces")
    parser.add_argument("--peaks", type=int, nargs="+", default=[24])
    parser.add_argument("--sweep", action="store_true", help="each peer at its best setting, too")
    parser.add_argument("--no-synthetic", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("build/bench-sizing.json"))
    arguments = parser.parse_args()
    all_traces = [] if arguments.no_synthetic else list(synthetic())
    if arguments.traces is not None:
        all_traces += recorded(arguments.traces)
    else:
        print("No folder of traces was given (TRACES=DIR): synthetic ones only.", file=sys.stderr)
    run(all_traces, arguments.peaks, arguments.out, sweep=arguments.sweep)


if __name__ == "__main__":
    main()
