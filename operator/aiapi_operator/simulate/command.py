"""The ``aiapi simulate`` command."""

import json
import re
from pathlib import Path

import click
from pydantic import ValidationError
from rich.console import Console

from aiapi_operator.api import AIApiSpec
from aiapi_operator.api.duration import is_duration, parse_duration
from aiapi_operator.api.field_errors import field_errors
from aiapi_operator.api.schedule import MAX_REPLICAS
from aiapi_operator.simulate import page, report
from aiapi_operator.simulate.compare import (
    Comparison,
    check_request_rate,
    compare,
    scale_to_workers,
    seconds_to_zero,
    sizing_spec_for,
    with_minimum,
)
from aiapi_operator.simulate.faults import Fault, FaultError, FaultKind, Faults, parse_fault
from aiapi_operator.simulate.measure import RunResult
from aiapi_operator.simulate.policies.catalogue import NAMES
from aiapi_operator.simulate.requests import Workload
from aiapi_operator.simulate.scenario import Scenario, ScenarioError, read_scenario
from aiapi_operator.simulate.source import InputError, TraceSource
from aiapi_operator.simulate.traces import TraceError
from aiapi_operator.sizing.inputs import LatencyObjective, ObjectiveKind

_OBJECTIVE = re.compile(r"^(?P<first>firstByte:)?p(?P<percentile>\d+(?:\.\d+)?)=(?P<threshold>.+)$")


def parse_objective(text: str) -> LatencyObjective:
    """Parse an objective such as ``p95=800ms`` or ``firstByte:p95=800ms``."""
    match = _OBJECTIVE.match(text)
    if match is None or not is_duration(match["threshold"]):
        raise click.BadParameter(
            f"{text!r} is not an objective; use a form such as p95=800ms or firstByte:p95=800ms"
        )
    percentile, threshold = float(match["percentile"]), parse_duration(match["threshold"])
    if not 50 <= percentile <= 99.9:
        raise click.BadParameter(f"{text!r}: the percentile must be between 50 and 99.9")
    if threshold <= 0:
        raise click.BadParameter(f"{text!r}: the threshold must be above zero")
    kind = ObjectiveKind.FIRST_BYTE if match["first"] else ObjectiveKind.LATENCY
    return LatencyObjective(percentile=percentile, threshold=threshold, kind=kind)


def parse_policies(text: str) -> tuple[str, ...]:
    """Parse names separated by commas; ``all`` selects every policy."""
    if text == "all":
        return NAMES
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    unknown = [name for name in names if name not in NAMES]
    if unknown or not names:
        raise click.BadParameter(
            f"unknown policy {', '.join(unknown) or repr(text)}; use any of: {', '.join(NAMES)}"
        )
    return names


def parse_minimum(spec: AIApiSpec, replicas: int | None, to_zero_after: str | None) -> AIApiSpec:
    """The spec with the values of ``--min-replicas`` and ``--to-zero-after``."""
    try:
        changed = with_minimum(spec, replicas, to_zero_after)
    except ValidationError as error:
        raise click.BadParameter(
            f"--min-replicas or --to-zero-after: {field_errors(error)[0]}"
        ) from None
    if to_zero_after is not None and changed.replicas.min > 0:
        raise click.UsageError("--to-zero-after needs a minimum of 0 pods: add --min-replicas 0")
    return changed


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
    help="CSV file, plain or gz, with a column arrival_s or requests_per_second.",
)
@click.option(
    "--prometheus",
    metavar="URL",
    help="Prometheus to read the traffic from, instead of --trace.",
)
@click.option(
    "--query", help="PromQL for requests per second as one series, such as sum(rate(...[1m]))."
)
@click.option("--last", default="7d", show_default=True, help="Period, such as 12h or 7d.")
@click.option("--step", help="Time between two samples. Default: 15s.")
@click.option(
    "--token-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File with the bearer token for Prometheus.",
)
@click.option(
    "--ca-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="CA certificates to trust. Default: those of the system.",
)
@click.option("--policy", default="all", show_default=True, help="Policies, separated by commas.")
@click.option(
    "--objective", help="Latency objective, such as p95=800ms. Default: that of --service."
)
@click.option(
    "--service",
    "scenario_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="YAML file with `service` (the model) and `spec` (of an AIApi); see docs/simulator.md.",
)
@click.option(
    "--peak-workers",
    type=click.IntRange(1, 10_000),
    help="Scale the trace so that its busiest minute needs this many workers.",
)
@click.option(
    "--min-replicas",
    type=click.IntRange(0, MAX_REPLICAS),
    help="Minimum number of pods. With 0 none runs while no request comes. Default: that of"
    " --service.",
)
@click.option(
    "--to-zero-after",
    metavar="5m",
    help="With a minimum of 0: time without requests after which the last pods stop. Default: that"
    " of --service.",
)
@click.option(
    "--pod-workers",
    type=click.IntRange(1, 64),
    default=2,
    show_default=True,
    help="Workers per pod for policies that scale pods only.",
)
@click.option(
    "--fault",
    "fault_texts",
    multiple=True,
    metavar="KIND@START+LENGTH",
    help=f"Fault to inject, in seconds: {', '.join(FaultKind)}. Repeatable.",
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option(
    "--json",
    "json_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write all measures to this file.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write report.html to this directory, with charts and the reason for each change.",
)
def simulate(  # noqa: PLR0913 - click passes one argument per option
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
    min_replicas: int | None,
    to_zero_after: str | None,
    pod_workers: int,
    fault_texts: tuple[str, ...],
    seed: int,
    json_path: Path | None,
    out: Path | None,
) -> None:
    """Compare autoscalers on a traffic trace: latency, cost and scaling.

    Runs the operator's own right-sizer, and models of other autoscalers after their published
    algorithms, on a simulated fleet. Needs no cluster.
    """
    names = parse_policies(policy)
    requested = None if objective is None else parse_objective(objective)
    source = TraceSource(
        path=path,
        url=prometheus,
        query=query,
        last=last,
        step=step,
        token_file=token_file,
        ca_file=ca_file,
    )
    source.validate()
    injected = Faults(tuple(_parse_fault(text) for text in fault_texts))
    try:
        scenario = Scenario() if scenario_path is None else read_scenario(scenario_path)
        user_spec = parse_minimum(scenario.spec, min_replicas, to_zero_after)
        scenario = scenario.model_copy(update={"spec": user_spec})
        spec = sizing_spec_for(scenario, requested, peak_workers)
        trace = source.read()
        if peak_workers is not None:
            trace = scale_to_workers(
                trace, scenario.service, spec.objective, peak_workers, seed=seed
            )
        check_request_rate(trace)
    except (TraceError, ScenarioError) as error:
        raise InputError(str(error)) from error
    load = Workload(trace=trace, service=scenario.service, seed=seed, faults=injected)
    comparison = compare(
        load,
        spec,
        names,
        pod_workers=pod_workers,
        to_zero_after=seconds_to_zero(scenario.spec),
        on_result=_show_progress,
    )
    _show(comparison)
    if json_path is not None:
        _write(json_path, json.dumps(report.as_json(comparison), indent=2) + "\n")
    if out is not None:
        _write(out / "report.html", page.render(comparison))


def _show_progress(result: RunResult) -> None:
    click.echo(f"{result.policy}: {result.seconds:.1f} s", err=True)


def _show(comparison: Comparison) -> None:
    console = Console()
    if not console.is_terminal:
        # Do not truncate columns when the output is a file.
        console = Console(width=200)
    report.print_introduction(comparison, console)
    console.print()
    console.print(report.table(comparison))
    if comparison.to_zero_after is not None:
        console.print()
        console.print(report.cold_table(comparison))


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    except OSError as error:
        raise click.ClickException(f"{path}: cannot be written: {error}") from error
    click.echo(str(path))
