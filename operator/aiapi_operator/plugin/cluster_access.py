"""Access to the cluster for all commands: options, connection, errors."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from aiapi_operator.cluster import contexts
from aiapi_operator.cluster.connection import NotConfiguredError
from aiapi_operator.cluster.errors import ClusterError
from aiapi_operator.cluster.reader import Reader
from aiapi_operator.cluster.resources import Manifest
from aiapi_operator.plugin import errors

T = TypeVar("T")
Command = Callable[..., Any]
REQUEST_TIMEOUT = 5.0
"""Seconds. Short, because a person waits."""
COMPLETION_TIMEOUT = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterOptions:
    """The cluster and the namespace of a command."""

    kubeconfig: Path | None = None
    context: str | None = None
    namespace: str | None = None
    """None: the namespace of the context."""
    everywhere: bool = False

    def scope(self, reader: Reader) -> str | None:
        """The namespace to list; None for all."""
        return None if self.everywhere else self.namespace or reader.namespace

    def home(self, reader: Reader) -> str:
        """The namespace of an AIApi given by name."""
        return self.namespace or reader.namespace


def cluster_options(*, everywhere: bool = False) -> Callable[[Command], Command]:
    """Add the options for the cluster, passed to the command as ``ClusterOptions``."""
    options = [
        click.option("-n", "--namespace", help="Namespace. Default: that of the context."),
        click.option("--context", help="Context in the kubeconfig.", shell_complete=_contexts),
        click.option(
            "--kubeconfig",
            type=click.Path(path_type=Path),
            help="Path of the kubeconfig. Default: KUBECONFIG, then ~/.kube/config.",
        ),
    ]
    if everywhere:
        options.append(
            click.option(
                "-A", "--all-namespaces", "everywhere", is_flag=True, help="All namespaces."
            )
        )

    def decorate(command: Command) -> Command:
        def with_where(**options: Any) -> Any:
            given = {name: options.pop(name, None) for name in ("kubeconfig", "context")}
            where = ClusterOptions(
                **given,
                namespace=options.pop("namespace", None),
                everywhere=options.pop("everywhere", False),
            )
            return command(where=where, **options)

        with_where.__name__, with_where.__doc__ = command.__name__, command.__doc__
        wrapped: Command = with_where
        # Keep the command's own options first.
        wrapped.__dict__.update(command.__dict__)
        for option in reversed(options):
            wrapped = option(wrapped)
        return wrapped

    return decorate


def with_reader(
    where: ClusterOptions, work: Callable[[Reader], Awaitable[T]], *, deadline: float | None = None
) -> T:
    """Run ``work`` with a connection. Errors of the cluster become a ``CommandError``."""
    # The client logs what it also raises.
    logging.getLogger("kubernetes").setLevel(logging.ERROR)
    try:
        return asyncio.run(_connected(where, work, deadline or REQUEST_TIMEOUT))
    except NotConfiguredError as error:
        raise errors.not_configured_error(error, contexts.names(where.kubeconfig)) from error
    except ClusterError as error:
        raise errors.cluster_error(error) from error


async def _connected(
    where: ClusterOptions, work: Callable[[Reader], Awaitable[T]], deadline: float
) -> T:
    reader = await Reader.open(
        kubeconfig=where.kubeconfig, context=where.context, deadline=deadline
    )
    try:
        return await work(reader)
    finally:
        await reader.close()


async def get_aiapi(reader: Reader, where: ClusterOptions, name: str) -> Manifest:
    """The AIApi, or a ``CommandError`` that suggests similar names."""
    namespace = where.home(reader)
    found = await reader.aiapi(namespace, name)
    if found is not None:
        return found
    raise errors.aiapi_not_found(name, namespace, await _known(reader, namespace))


async def _known(reader: Reader, namespace: str) -> list[tuple[str, str]]:
    """All AIApis; those of the namespace if listing all is forbidden."""
    try:
        items = await reader.aiapis(None)
    except ClusterError:
        items = await reader.aiapis(namespace)
    return [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in items]


def name_argument(command: Command) -> Command:
    """Add the argument NAME, completed from the cluster."""
    return click.argument("name", shell_complete=complete_names)(command)


def complete_names(
    ctx: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The AIApis whose names start with ``incomplete``; none if the cluster does not answer."""
    where = ClusterOptions(
        kubeconfig=ctx.params.get("kubeconfig"),
        context=ctx.params.get("context"),
        namespace=ctx.params.get("namespace"),
    )

    async def names(reader: Reader) -> list[str]:
        return [item["metadata"]["name"] for item in await reader.aiapis(where.scope(reader))]

    try:
        found = with_reader(where, names, deadline=COMPLETION_TIMEOUT)
    except click.ClickException:
        return []
    return [CompletionItem(name) for name in sorted(found) if name.startswith(incomplete)]


def _contexts(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    known = contexts.names(ctx.params.get("kubeconfig"))
    return [CompletionItem(name) for name in known if name.startswith(incomplete)]
