"""``kubectl aiapi top``: all AIApis in a table that refreshes."""

import asyncio
from contextlib import suppress
from typing import Any

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from aiapi_operator.api.summary import AIApiSummary, from_manifest
from aiapi_operator.cluster.contexts import namespace_of
from aiapi_operator.cluster.errors import Unavailable
from aiapi_operator.cluster.reader import Reader
from aiapi_operator.plugin import output as out
from aiapi_operator.plugin.cluster_access import ClusterOptions, cluster_options, with_reader

ORDERS = {
    "name": lambda view: (view.namespace, view.name),
    "problems": lambda view: (-len(view.problems), view.namespace, view.name),
    "load": lambda view: (-float(view.load.get("requestsPerSecond") or 0), view.name),
}


@click.command()
@cluster_options(everywhere=True)
@click.option("--once", is_flag=True, help="Print the table once. Default without a terminal.")
@click.option(
    "--interval",
    type=click.FloatRange(0.5, 60),
    default=2.0,
    show_default=True,
    help="Seconds between refreshes.",
)
@click.option("--sort", type=click.Choice(list(ORDERS)), default="name", show_default=True)
@out.output_option()
def top(
    where: ClusterOptions, *, once: bool, interval: float, sort: str, output: out.Format
) -> None:
    """Show load, need, size and savings of all AIApis.

    FLEET is ready pods / pods x workers per pod. WANTED is the last decision. ERRORS is the share
    of requests that failed in the last minute. RPS is asleep, waking or leaving where an AIApi with
    replicas.min 0 has no pod, starts one, or is about to stop the last.
    """

    async def views(reader: Reader) -> list[AIApiSummary]:
        found = [from_manifest(item) for item in await reader.aiapis(where.scope(reader))]
        return sorted(found, key=ORDERS[sort])

    console = out.console()
    if output != "table":
        found = with_reader(where, views)
        out.emit({"items": [view.document() for view in found]}, output)
    elif once or not console.is_terminal:
        _print(console, with_reader(where, views), where)
    else:
        with suppress(KeyboardInterrupt):
            with_reader(where, lambda reader: _live(console, reader, views, where, interval))


def _print(console: Console, views: list[AIApiSummary], where: ClusterOptions) -> None:
    if not views:
        click.echo(nothing(where), err=True)
        return
    out.print_for_people(console, table(views, where))


def nothing(where: ClusterOptions) -> str:
    """The message if there are no AIApis."""
    if where.everywhere:
        return "No AIApis in this cluster."
    named = where.namespace or namespace_of(where.kubeconfig, where.context)
    return f"No AIApis in namespace {named}. Use -A for all namespaces."


async def _live(
    console: Console, reader: Reader, views: Any, where: ClusterOptions, interval: float
) -> None:
    first = await views(reader)
    with Live(_frame(first, where), console=console, screen=True, auto_refresh=False) as live:
        live.refresh()
        while True:
            await asyncio.sleep(interval)
            try:
                live.update(_frame(await views(reader), where), refresh=True)
            except Unavailable as error:
                live.update(Text(f"{error.message}. Retrying.", style="red"), refresh=True)


def _frame(views: list[AIApiSummary], where: ClusterOptions) -> Table | Text:
    return table(views, where) if views else Text(nothing(where))


def table(views: list[AIApiSummary], where: ClusterOptions) -> Table:
    """One line per AIApi."""
    found = Table(box=None, pad_edge=False, header_style="bold")
    if where.everywhere:
        found.add_column("NAMESPACE", no_wrap=True)
    for title, right in COLUMNS:
        found.add_column(title, justify="right" if right else "left", no_wrap=True)
    for view in views:
        cells = _cells(view)
        found.add_row(*([Text(view.namespace), *cells] if where.everywhere else cells))
    return found


COLUMNS = (
    ("NAME", False),
    ("READY", False),
    ("RPS", True),
    ("NEED", True),
    ("FLEET", True),
    ("WANTED", True),
    ("BUSY", True),
    ("LATENCY", True),
    ("OBJECTIVE", True),
    ("ERRORS", True),
    ("SAVED", True),
    ("BINDS", False),
    ("MODE", False),
    ("WHY", False),
)


def _cells(view: AIApiSummary) -> list[Text]:
    diagnoses = [problem["type"] for problem in view.problems if problem["type"] != "Ready"]
    why = ", ".join(diagnoses) or view.phase or str(view.decision.get("reason", "-"))
    load = view.phase.lower() or view.load.get("requestsPerSecond", "-")
    return [
        Text(view.name, style="bold"),
        Text(view.ready, style="green" if view.ready == "True" else "red"),
        Text(load, style="cyan" if view.phase else ""),
        Text(str(view.need.get("workers", "-"))),
        Text(view.running),
        Text(view.wanted),
        Text(view.load.get("utilization", "-")),
        Text(view.measured or "-", style="red" if view.misses_objective else ""),
        Text(f"{view.percentile} {view.objective}"),
        Text(view.failing, style="red" if view.is_failing else ""),
        Text(view.saved),
        Text(str(view.need.get("binding", "-"))),
        Text(view.mode, style="" if view.mode == "Auto" else "yellow"),
        Text(why, style="yellow" if diagnoses else ""),
    ]
