"""How every command reaches the cluster: its options, one connection, errors in sentences."""

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
"""Seconds for one request: a person waits."""
COMPLETION_TIMEOUT = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterOptions:
    """Which cluster and which namespace a command is about."""

    kubeconfig: Path | None = None
    context: str | None = None
    namespace: str | None = None
    """None stands for the namespace of the context."""
    everywhere: bool = False

    def scope(self, reader: Reader) -> str | None:
        """The namespace to list; None for all."""
        return None if self.everywhere else self.namespace or reader.namespace

    def home(self, reader: Reader) -> str:
        """The namespace of a named AIApi."""
        return self.namespace or reader.namespace


def cluster_options(*, everywhere: bool = False) -> Callable[[Command], Command]:
    """Add the options that say where, and give the command a ``Where``."""
    options = [
        click.option("-n", "--namespace", help="Namespace; by default that of the context."),
        click.option("--context", help="Context of the kubeconfig.", shell_complete=_contexts),
        click.option(
            "--kubeconfig",
            type=click.Path(path_type=Path),
            help="Path of a kubeconfig; by default KUBECONFIG, then ~/.kube/config.",
        ),
    ]
    if everywhere:
        options.append(
            click.option("-A", "--all-namespaces", "everywhere", is_flag=True, help="All of them.")
        )

    def decorate(command: Command) -> Command:
        def with_where(**options: Any) -> Any:
            told = {name: options.pop(name, None) for name in ("kubeconfig", "context")}
            where = ClusterOptions(
                **told,
                namespace=options.pop("namespace", None),
                everywhere=options.pop("everywhere", False),
            )
            return command(where=where, **options)

        with_where.__name__, with_where.__doc__ = command.__name__, command.__doc__
        wrapped: Command = with_where
        # What the command itself declared stays in front.
        wrapped.__dict__.update(command.__dict__)
        for option in reversed(options):
            wrapped = option(wrapped)
        return wrapped

    return decorate


def with_reader(
    where: ClusterOptions, work: Callable[[Reader], Awaitable[T]], *, deadline: float | None = None
) -> T:
    """Do ``work`` with a connection; whatever the cluster says becomes a ``Failure``."""
    # What the client has to say is in its exceptions, too.
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
    """The AIApi, or a ``Failure`` that names those that are near."""
    namespace = where.home(reader)
    found = await reader.aiapi(namespace, name)
    if found is not None:
        return found
    raise errors.aiapi_not_found(name, namespace, await _known(reader, namespace))


async def _known(reader: Reader, namespace: str) -> list[tuple[str, str]]:
    """All AIApis that may be seen; those of the namespace where all may not."""
    try:
        items = await reader.aiapis(None)
    except ClusterError:
        items = await reader.aiapis(namespace)
    return [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in items]


def name_argument(command: Command) -> Command:
    """NAME, completed from the cluster."""
    return click.argument("name", shell_complete=complete_names)(command)


def complete_names(
    ctx: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The AIApis whose names begin so; none where the cluster does not answer at once."""
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
