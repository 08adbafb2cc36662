"""``kubectl aiapi doctor``: checks everything that right-sizing needs."""

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
from aiapi_operator.plugin import checks, operator_load, operator_pods, shards
from aiapi_operator.plugin import output as out
from aiapi_operator.plugin.checks import Check, CheckResult
from aiapi_operator.plugin.cluster_access import ClusterOptions, cluster_options, with_reader
from aiapi_operator.plugin.errors import PROBLEM
from aiapi_operator.present.numbers import count

T = TypeVar("T")
_STYLES = {
    CheckResult.OK: "green",
    CheckResult.NOTE: "cyan",
    CheckResult.UNKNOWN: "yellow",
    CheckResult.PROBLEM: "bold red",
}


@click.command()
@cluster_options()
@click.option("--lease-name", help="Name of the operator's Lease. Default: from its Deployment.")
@out.output_option()
@click.pass_context
def doctor(
    ctx: click.Context, where: ClusterOptions, *, lease_name: str | None, output: out.Format
) -> None:
    """Check the cluster, the CRD, the operator, its permissions and the AIApis.

    Exits with 1 if there is a problem. Checks all namespaces, or the one given with -n.
    """
    found = with_reader(where, lambda reader: examine(reader, where, lease_name))
    if output == "table":
        show(found, out.console())
    else:
        out.emit({"checks": [check.document() for check in found]}, output)
    if any(check.result is CheckResult.PROBLEM for check in found):
        ctx.exit(PROBLEM)


async def examine(reader: Reader, where: ClusterOptions, lease_name: str | None) -> list[Check]:
    """Run all checks. A missing permission affects its own check only."""
    found = [checks.version(await reader.version()), checks.resize(await reader.has_resize())]
    definition, (deployments, leases), aiapis = await asyncio.gather(
        _or_error(reader.crd()),
        _operators(reader, lease_name),
        _or_error(reader.aiapis(where.namespace)),
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
        why = await _why_not_ready(reader, deployments)
        found.append(checks.operator(deployments, leases, checks.now(), why))
        known = deployments
    found += await operator_load.check(reader, known)
    found.append(await checks.operator_permissions(reader, known, lease_name))
    if isinstance(aiapis, NotFound):
        return found
    if isinstance(aiapis, ClusterError):
        return [*found, checks.unknown("Pods' metrics", aiapis)]
    found += await shards.check(reader, known, aiapis)
    found += [checks.metrics(aiapis), *checks.activators(aiapis)]
    return [*found, *checks.needs_attention(aiapis)]


async def _operators(
    reader: Reader, lease_name: str | None
) -> tuple[list[Manifest] | ClusterError, list[Manifest] | ClusterError]:
    """The Deployments of the operator, and the Leases whose name they set."""
    deployments = await _or_error(reader.deployments(checks.OPERATOR_LABEL))
    known = [] if isinstance(deployments, ClusterError) else deployments
    name = lease_name or checks.lease_name(known)
    return deployments, await _or_error(reader.leases(name))


async def _why_not_ready(reader: Reader, deployments: list[Manifest]) -> str:
    """Why the pods of the first Deployment that has none ready are not."""
    for each in deployments:
        if not (each.get("status") or {}).get("readyReplicas"):
            namespace = each["metadata"]["namespace"]
            return await operator_pods.why_not_ready(reader, namespace, checks.OPERATOR_LABEL)
    return ""


async def _or_error(call: Awaitable[T]) -> T | ClusterError:
    try:
        return await call
    except Unavailable:
        raise
    except ClusterError as error:
        return error


def show(found: list[Check], console: Console) -> None:
    """Print the checks as a table."""
    grid = Table.grid(padding=(0, 2))
    for check in found:
        text = Text(check.message)
        if check.hint:
            text.append(f"\n-> {check.hint}", style="dim")
        grid.add_row(Text(check.result.value, _STYLES[check.result]), Text(check.name), text)
    out.print_for_people(console, grid)
    problems = sum(check.result is CheckResult.PROBLEM for check in found)
    console.print()
    console.print(f"{count(problems, 'problem')} found." if problems else "No problems found.")
