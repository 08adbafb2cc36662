"""``simulate NAME``: what an objective costs with the traffic of an AIApi, and what others would.

Without NAME it is the command of the simulator, which needs no cluster.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError
from rich.table import Table
from rich.text import Text

from aiapi_operator.api import AIApi, AIApiSpec
from aiapi_operator.api.duration import format_duration
from aiapi_operator.api.field_errors import field_errors
from aiapi_operator.api.schedule import MAX_REPLICAS
from aiapi_operator.cluster.reader import Reader
from aiapi_operator.cluster.resources import Manifest
from aiapi_operator.plugin import deployment_traffic
from aiapi_operator.plugin import output as out
from aiapi_operator.plugin.adopt.related import Belongings
from aiapi_operator.plugin.adopt.sources import deployment_name, from_cluster, is_deployment
from aiapi_operator.plugin.cluster_access import (
    ClusterOptions,
    cluster_options,
    complete_names,
    get_aiapi,
    with_reader,
)
from aiapi_operator.plugin.errors import CommandError
from aiapi_operator.present.numbers import number, percent
from aiapi_operator.simulate import command as traced
from aiapi_operator.simulate import prometheus, what_if
from aiapi_operator.simulate.measure import RunResult
from aiapi_operator.simulate.scenario import ServiceModel
from aiapi_operator.simulate.source import InputError, parse_range
from aiapi_operator.simulate.traces import Trace, TraceError
from aiapi_operator.sizing.inputs import LatencyObjective
from aiapi_operator.sizing.spec import sizing_spec

_OTHERS = (0.5, 2.0)
"""Factors of the objective's threshold that are simulated by default."""


class SimulateCommand(click.Command):
    """One command in two forms: for an AIApi in a cluster, or for a trace without a cluster."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """The context of the form with a NAME, or of the form without."""
        given = {arg.partition("=")[0] for arg in args}
        if not given & _only_traced():
            ctx = super().make_context(info_name, list(args), parent, **extra)
            if ctx.params.get("name") or ctx.resilient_parsing:
                return ctx
        return traced.simulate.make_context(info_name, args, parent, **extra)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Show the help of the form without NAME."""
        formatter.write_paragraph()
        formatter.write_text("Without NAME, for a trace of any service:")
        traced.simulate.format_help(ctx, formatter)


def _only_traced() -> set[str]:
    own = {option for parameter in simulate.params for option in parameter.opts}
    theirs = {option for parameter in traced.simulate.params for option in parameter.opts}
    return theirs - own


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIfInputs:
    """The inputs of the simulation."""

    aiapi: AIApi
    trace: Trace
    service: ServiceModel
    assumed: bool
    """Not measured yet: the default service model of the simulator."""
    objectives: tuple[LatencyObjective, ...]
    minimum: AIApiSpec | None = None
    """The spec with another minimum of pods, to compare with."""


@dataclass(frozen=True, slots=True)
class Minimum:
    """The options for another minimum of pods."""

    replicas: int
    to_zero_after: str | None

    def added(self, inputs: WhatIfInputs) -> WhatIfInputs:
        """The inputs with the spec to compare with, unless it is that of the AIApi."""
        spec = inputs.aiapi.spec
        other = traced.parse_minimum(spec, self.replicas, self.to_zero_after)
        return inputs if other == spec else replace(inputs, minimum=other)


@click.command(cls=SimulateCommand)
@click.argument("name", required=False, shell_complete=complete_names)
@cluster_options()
@click.option("--prometheus", "url", metavar="URL", help="Prometheus with the traffic.")
@click.option("--last", default="7d", show_default=True, help="Period, such as 12h or 7d.")
@click.option("--step", help="Time between two samples. Default: 15s.")
@click.option(
    "--query",
    help="PromQL for requests per second. Default: the operator's metric, or for a Deployment the"
    " first of the usual HTTP metrics that has it.",
)
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
@click.option(
    "--objective",
    "objectives",
    multiple=True,
    metavar="p95=800ms",
    help="Another objective. Repeatable. Default: half and twice its own threshold.",
)
@click.option(
    "--min-replicas",
    type=click.IntRange(0, MAX_REPLICAS),
    default=0,
    show_default=True,
    help="Another minimum of pods to compare with. With 0 none runs while no request comes.",
)
@click.option(
    "--to-zero-after",
    metavar="5m",
    help="Time without requests after which the last pods stop. Default: that of NAME.",
)
@out.output_option()
def simulate(where: ClusterOptions, *, name: str, url: str | None, **options: Any) -> None:
    """Show what the objective of NAME costs with its own traffic, and what others would.

    Prometheus has the traffic of the last days, the status has the loop time of a request. NAME may
    be deployment/NAME: then it shows what an AIApi in its place would save.
    """
    if not url:
        raise click.UsageError("--prometheus URL is missing")
    output = options.pop("output")
    minimum = Minimum(options.pop("min_replicas"), options.pop("to_zero_after"))
    others = tuple(traced.parse_objective(text) for text in options.pop("objectives"))
    if is_deployment(name):
        _simulate_deployment(where, name, others, output, minimum, url=url, **options)
        return

    async def look(reader: Reader) -> Manifest:
        return await get_aiapi(reader, where, name)

    aiapi = _valid(with_reader(where, look))
    inputs = minimum.added(_inputs(aiapi, others, _traffic(aiapi, url, **options)))
    rows = _rows(inputs)
    if output == "table":
        show(inputs, rows)
    else:
        out.emit(document(inputs, rows), output)


def _simulate_deployment(
    where: ClusterOptions,
    target: str,
    others: tuple[LatencyObjective, ...],
    output: out.Format,
    minimum: Minimum,
    **options: Any,
) -> None:
    async def look(reader: Reader) -> Belongings:
        return await from_cluster(reader, where.home(reader), deployment_name(target))

    given = with_reader(where, look)
    try:
        found = deployment_traffic.read(given, prometheus_options(**options), options["query"])
    except TraceError as error:
        raise InputError(str(error)) from error
    inputs = WhatIfInputs(
        aiapi=found.aiapi,
        trace=found.trace,
        service=found.service or ServiceModel(),
        assumed=found.service is None,
        objectives=_objectives(found.aiapi, others),
    )
    inputs = minimum.added(inputs)
    rows = _rows(inputs)
    now = deployment_traffic.cost_now(found, inputs.aiapi.spec)
    if output == "table":
        show(inputs, rows)
        for line in deployment_traffic.lines(found, now, rows[0].cost):
            click.echo(line)
    else:
        more = deployment_traffic.document(found, now, rows[0].cost)
        out.emit({**document(inputs, rows), **more}, output)


def prometheus_options(*, last: str, url: str, **options: Any) -> deployment_traffic.Prometheus:
    """Where to read, and which time."""
    step = options["step"]
    return deployment_traffic.Prometheus(
        url=url,
        last=parse_range(last, "--last"),
        step=None if step is None else parse_range(step, "--step"),
        token_file=options["token_file"],
        ca_file=options["ca_file"],
    )


def _rows(inputs: WhatIfInputs) -> list[what_if.WhatIfRow]:
    return what_if.what_if(
        inputs.trace,
        inputs.aiapi.spec,
        inputs.objectives,
        service=inputs.service,
        minimum=inputs.minimum,
        on_result=_print_progress,
    )


def _valid(manifest: Manifest) -> AIApi:
    try:
        return AIApi.model_validate(manifest)
    except ValidationError as error:
        raise CommandError(
            f"AIApi {manifest['metadata']['name']} is not valid for this version of aiapi:"
            f" {field_errors(error)[0]}. Upgrade aiapi."
        ) from error


def query_of(aiapi: AIApi) -> str:
    """Its requests per second. ``max``, because only the leader reports them."""
    return (
        "max(aiapi_operator_arrivals_per_second"
        f'{{namespace="{aiapi.namespace}",name="{aiapi.name}"}})'
    )


def _traffic(aiapi: AIApi, url: str, *, last: str, **options: Any) -> Trace:
    step = options["step"]
    try:
        rates = prometheus.fetch_rates(
            url,
            options["query"] or query_of(aiapi),
            parse_range(last, "--last"),
            step=None if step is None else parse_range(step, "--step"),
            token_file=options["token_file"],
            ca_file=options["ca_file"],
        )
        return prometheus.as_trace(rates)
    except TraceError as error:
        raise InputError(str(error)) from error


def _inputs(aiapi: AIApi, others: tuple[LatencyObjective, ...], trace: Trace) -> WhatIfInputs:
    measured = what_if.service_from_status(aiapi.status)
    return WhatIfInputs(
        aiapi=aiapi,
        trace=trace,
        service=measured or ServiceModel(),
        assumed=measured is None,
        objectives=_objectives(aiapi, others),
    )


def _objectives(aiapi: AIApi, others: tuple[LatencyObjective, ...]) -> tuple[LatencyObjective, ...]:
    own = sizing_spec(aiapi.spec).objective
    tried = others or tuple(replace(own, threshold=own.threshold * factor) for factor in _OTHERS)
    return (own, *(other for other in tried if other != own))


def _print_progress(objective: LatencyObjective, result: RunResult) -> None:
    click.echo(f"{_text(objective)} {result.policy}: {result.seconds:.1f} s", err=True)


def _text(objective: LatencyObjective) -> str:
    return f"{objective.name} <= {format_duration(objective.threshold)}"


def show(inputs: WhatIfInputs, rows: list[what_if.WhatIfRow]) -> None:
    """Print the results as a table."""
    console = out.console()
    currency = inputs.aiapi.spec.cost.currency
    console.print(Text(f"{inputs.aiapi.name} in {inputs.aiapi.namespace}: {_about(inputs)}"))
    for line in inputs.trace.notes:
        console.print(Text(f"note: {line}", style="yellow"))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("OBJECTIVE", "FLEET"):
        table.add_column(title, no_wrap=True)
    cold = ("COLD STARTS", "MET ONE") if any(row.result.cold_starts for row in rows) else ()
    for title in ("KEPT", "P95", "MAX WORKERS", "LOST", *cold, f"COST {currency}", "SAVED"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        result = row.result
        own = (
            row.objective == inputs.objectives[0]
            and result.policy == "aiapi"
            and row.min_replicas == inputs.aiapi.spec.replicas.min
        )
        table.add_row(
            _text(row.objective),
            _fleet(inputs, row),
            percent(result.attainment_windows, decimals=1),
            format_duration(result.p95),
            str(result.max_workers),
            str(result.shed + result.failed),
            *(_cold(result) if cold else ()),
            number(row.cost, digits=4),
            percent(None if result.policy == "static" else row.saving),
            style="bold" if own else "",
        )
    console.print()
    out.print_for_people(console, table)


def _fleet(inputs: WhatIfInputs, row: what_if.WhatIfRow) -> str:
    if row.result.policy != "aiapi":
        return row.result.policy
    return "right-sized" if inputs.minimum is None else f"right-sized, min {row.min_replicas}"


def _cold(result: RunResult) -> tuple[str, str]:
    cold = result.cold_starts
    return ("-", "-") if cold is None else (str(cold.starts), str(cold.requests))


def _about(inputs: WhatIfInputs) -> str:
    service = inputs.service
    model = (
        f"{service.loop.mean} of loop time per request,"
        f" upstream {service.upstream.median} (p95 {service.upstream.p95})"
    )
    if inputs.assumed:
        model += " (defaults: not measured yet)"
    return model


def document(inputs: WhatIfInputs, rows: list[what_if.WhatIfRow]) -> dict[str, Any]:
    """The JSON form."""
    return {
        "namespace": inputs.aiapi.namespace,
        "name": inputs.aiapi.name,
        "assumedService": inputs.assumed,
        "notes": list(inputs.trace.notes),
        "currency": inputs.aiapi.spec.cost.currency,
        "rows": [
            {
                "kind": row.objective.kind.value,
                "percentile": row.objective.percentile,
                "thresholdSeconds": row.objective.threshold,
                "policy": row.result.policy,
                "kept": row.result.attainment_windows,
                "p95Seconds": row.result.p95,
                "maxWorkers": row.result.max_workers,
                "requests": row.result.requests,
                "lost": row.result.shed + row.result.failed,
                "minReplicas": row.min_replicas,
                "coldStarts": row.result.cold_starts and row.result.cold_starts.starts,
                "metColdStart": row.result.cold_starts and row.result.cold_starts.requests,
                "cost": row.cost,
                "saved": row.saving,
            }
            for row in rows
        ],
    }
