"""``kubectl aiapi doctor``: is everything there that right-sizing needs?"""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from aiapi_operator.cluster.errors import ClusterError, NotFound, Unavailable
from aiapi_operator.cluster.reader import Reader
from aiapi_operator.cluster.resources import Manifest
from aiapi_operator.plugin import checks
from aiapi_operator.plugin import output as out
from aiapi_operator.plugin.checks import Check, CheckResult
from aiapi_operator.plugin.cluster_access import ClusterOptions, cluster_options, with_reader
from aiapi_operator.plugin.errors import PROBLEM

T = TypeVar("T")
_STYLES = {
    CheckResult.OK: "green",
    CheckResult.NOTE: "cyan",
    CheckResult.UNKNOWN: "yellow",
    CheckResult.PROBLEM: "bold red",
}


@click.command()
@cluster_options()
@click.option(
    "--lease-name", help="Name of the Lease that operators hold; by default their Deployment's."
)
@out.output_option()
@click.pass_context
def doctor(
    ctx: click.Context, where: ClusterOptions, *, lease_name: str | None, output: out.Format
) -> None:
    """Check the cluster, the CRD, the operator, its rights and the AIApis.

    Ends with 1 when something is wrong. All namespaces are looked at, or the one of -n.
    """
    found = with_reader(where, lambda reader: examine(reader, where, lease_name))
    if output == "table":
        show(found, out.console())
    else:
        out.emit({"checks": [check.document() for check in found]}, output)
    if any(check.result is CheckResult.PROBLEM for check in found):
        ctx.exit(PROBLEM)


async def examine(reader: Reader, where: ClusterOptions, lease_name: str | None) -> list[Check]:
    """All checks. A right that is missing costs its own check only."""
    found = [checks.version(await reader.version()), checks.resize(await reader.has_resize())]
    definition, (deployments, leases), aiapis = await asyncio.gather(
        _tried(reader.crd()),
        _operators(reader, lease_name),
        _tried(reader.aiapis(where.namespace)),
    )
    if isinstance(definition, ClusterError):
        found.append(checks.unknown("CRD", definition))
    else:
        found.append(checks.crd_version(definition))
    if isinstance(deployments, ClusterError) or isinstance(leases, ClusterError):
        error = deployments if isinstance(deployments, ClusterError) else leases
        assert isinstance(error, ClusterError)  # noqa: S101 - for mypy: one of the two is
        found.append(checks.unknown("Operator", error))
        known: list[Manifest] = []
    else:
        found.append(checks.operator(deployments, leases, checks.now()))
        known = deployments
    found.append(await checks.operator_rights(reader, known))
    if isinstance(aiapis, NotFound):
        return found
    if isinstance(aiapis, ClusterError):
        return [*found, checks.unknown("Pods' metrics", aiapis)]
    return [*found, checks.metrics(aiapis), *checks.needs_attention(aiapis)]


async def _operators(
    reader: Reader, lease_name: str | None
) -> tuple[list[Manifest] | ClusterError, list[Manifest] | ClusterError]:
    """The operators' Deployments and Leases; the first says how the second are called."""
    deployments = await _tried(reader.deployments(checks.OPERATOR_LABEL))
    known = [] if isinstance(deployments, ClusterError) else deployments
    name = lease_name or checks.lease_name(known)
    return deployments, await _tried(reader.leases(name))


async def _tried(call: Awaitable[T]) -> T | ClusterError:
    try:
        return await call
    except Unavailable:
        raise
    except ClusterError as error:
        return error


def show(found: list[Check], console: Console) -> None:
    """Write the checks for people."""
    grid = Table.grid(padding=(0, 2))
    for check in found:
        told = Text(check.message)
        if check.way_out:
            told.append(f"\n-> {check.way_out}", style="dim")
        grid.add_row(Text(check.result.value, _STYLES[check.result]), Text(check.name), told)
    out.print_for_people(console, grid)
    wrong = sum(check.result is CheckResult.PROBLEM for check in found)
    console.print()
    console.print(f"{wrong} problem{'s' if wrong != 1 else ''} found." if wrong else "All is well.")
