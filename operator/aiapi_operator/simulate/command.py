"""``aiapi simulate``: the command line of the simulator."""

import json
import re
from pathlib import Path

import click
from rich.console import Console

from aiapi_operator.api.duration import is_duration, parse_duration
from aiapi_operator.simulate import page, report
from aiapi_operator.simulate.compare import (
    Comparison,
    check_request_rate,
    compare,
    scale_to_workers,
    sizing_spec_for,
)
from aiapi_operator.simulate.faults import Fault, FaultError, FaultKind, Faults, parse_fault
from aiapi_operator.simulate.measure import RunResult
from aiapi_operator.simulate.policies.catalogue import NAMES
from aiapi_operator.simulate.requests import Workload
from aiapi_operator.simulate.scenario import Scenario, ScenarioError, read_scenario
from aiapi_operator.simulate.source import InputError, TraceSource
from aiapi_operator.simulate.traces import TraceError
from aiapi_operator.sizing.inputs import LatencyObjective

_OBJECTIVE = re.compile(r"^p(?P<percentile>\d+(?:\.\d+)?)=(?P<threshold>.+)$")


def parse_objective(text: str) -> LatencyObjective:
    """Read ``p95=800ms``."""
    match = _OBJECTIVE.match(text)
    if match is None or not is_duration(match["threshold"]):
        raise click.BadParameter(f"{text!r} is no objective; give one such as p95=800ms")
    percentile, threshold = float(match["percentile"]), parse_duration(match["threshold"])
    if not 50 <= percentile <= 99.9:
        raise click.BadParameter(f"{text!r}: the percentile must be between 50 and 99.9")
    if threshold <= 0:
        raise click.BadParameter(f"{text!r}: the threshold must be above zero")
    return LatencyObjective(percentile=percentile, threshold=threshold)


def parse_policies(text: str) -> tuple[str, ...]:
    """Read names separated by commas; ``all`` is all of them."""
    if text == "all":
        return NAMES
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    unknown = [name for name in names if name not in NAMES]
    if unknown or not names:
        raise click.BadParameter(
            f"no policy is named {', '.join(unknown) or repr(text)}; there are: {', '.join(NAMES)}"
        )
    return names


def _parse_fault(text: str) -> Fault:
    try:
        return parse_fault(text)
    except FaultError as error:
        raise click.BadParameter(str(error)) from None


@click.command()
@click.option(
    "--trace",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="CSV, plain or gz, with a column arrival_s or requests_per_second.",
)
@click.option(
    "--prometheus",
    metavar="URL",
    help="In place of --trace: the traffic that a Prometheus has seen.",
)
@click.option("--query", help="PromQL for requests a second, as one series: sum(rate(...[1m])).")
@click.option("--last", default="7d", show_default=True, help="How far back, such as 12h or 7d.")
@click.option("--step", help="Time between two samples; 15s by default.")
@click.option(
    "--token-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File with the bearer token for the Prometheus.",
)
@click.option(
    "--ca-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="CA certificates to trust, in place of the system's.",
)
@click.option("--policy", default="all", show_default=True, help="Names, separated by commas.")
@click.option("--objective", help="Such as p95=800ms; by default what --service says.")
@click.option(
    "--service",
    "scenario_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="YAML with `service` (the model, see docs/simulator.md) and `spec` (of an AIApi).",
)
@click.option(
    "--peak-workers",
    type=click.IntRange(1, 10_000),
    help="Scale the trace until its busiest minute needs so many workers.",
)
@click.option(
    "--pod-workers",
    type=click.IntRange(1, 64),
    default=2,
    show_default=True,
    help="Workers in each pod of the policies that size pods alone.",
)
@click.option(
    "--fault",
    "fault_texts",
    multiple=True,
    metavar="KIND@START+LENGTH",
    help=f"What goes wrong, in seconds: {', '.join(FaultKind)}. May be given again.",
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option(
    "--json",
    "json_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write all measures there.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write report.html there, with charts and the reason of every change.",
)
def simulate(  # noqa: PLR0913 - one argument an option, as click calls it
    *,
    path: Path | None,
    prometheus: str | None,
    query: str | None,
    last: str,
    step: str | None,
    token_file: Path | None,
    ca_file: Path | None,
    policy: str,
    objective: str | None,
    scenario_path: Path | None,
    peak_workers: int | None,
    pod_workers: int,
    fault_texts: tuple[str, ...],
    seed: int,
    json_path: Path | None,
    out: Path | None,
) -> None:
    """Show what each autoscaler would do with a trace, and what it would cost.

    Runs the operator's own right-sizer, and its peers by their published laws, on a model of a
    fleet. No cluster is needed.
    """
    names = parse_policies(policy)
    asked = None if objective is None else parse_objective(objective)
    source = TraceSource(
        path=path,
        url=prometheus,
        query=query,
        last=last,
        step=step,
        token_file=token_file,
        ca_file=ca_file,
    )
    source.check()
    wrong = Faults(tuple(_parse_fault(text) for text in fault_texts))
    try:
        scenario = Scenario() if scenario_path is None else read_scenario(scenario_path)
        spec = sizing_spec_for(scenario, asked, peak_workers)
        trace = source.read()
        if peak_workers is not None:
            trace = scale_to_workers(
                trace, scenario.service, spec.objective, peak_workers, seed=seed
            )
        check_request_rate(trace)
    except (TraceError, ScenarioError) as error:
        raise InputError(str(error)) from error
    load = Workload(trace=trace, service=scenario.service, seed=seed, faults=wrong)
    comparison = compare(load, spec, names, pod_workers=pod_workers, tell=_tell)
    _show(comparison)
    if json_path is not None:
        _write(json_path, json.dumps(report.as_json(comparison), indent=2) + "\n")
    if out is not None:
        _write(out / "report.html", page.render(comparison))


def _tell(result: RunResult) -> None:
    click.echo(f"{result.policy}: {result.seconds:.1f} s", err=True)


def _show(comparison: Comparison) -> None:
    console = Console()
    if not console.is_terminal:
        # A table in a file is for reading too: no column is cut to a terminal's width.
        console = Console(width=200)
    report.print_introduction(comparison, console)
    console.print()
    console.print(report.table(comparison))


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    except OSError as error:
        raise click.ClickException(f"{path}: cannot be written: {error}") from error
    click.echo(str(path))
