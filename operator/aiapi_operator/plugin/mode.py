"""``pause``, ``resume`` and ``recommend``: the three values of ``spec.scaling.mode``."""

from collections.abc import Callable
from typing import Any

import click

from aiapi_operator.cluster.reader import FIELD_MANAGER, Reader
from aiapi_operator.cluster.resources import Manifest
from aiapi_operator.plugin import output as out
from aiapi_operator.plugin.cluster_access import (
    ClusterOptions,
    cluster_options,
    get_aiapi,
    name_argument,
    with_reader,
)

_MEANS = {
    "Auto": "the operator acts on its decisions",
    "Recommend": "the operator tells what it would do, and changes no size",
    "Paused": "the operator decides nothing; what runs stays",
}


def _switch(command: str, mode: str, told: str) -> click.Command:
    @click.command(name=command, help=told)
    @name_argument
    @cluster_options()
    @click.option(
        "--dry-run", is_flag=True, help="Let the API server check it, and change nothing."
    )
    @out.output_option("table")
    def switch(where: ClusterOptions, *, name: str, dry_run: bool, output: out.Format) -> None:
        async def work(reader: Reader) -> tuple[Manifest, Manifest]:
            before = await get_aiapi(reader, where, name)
            namespace = before["metadata"]["namespace"]
            if mode_of(before) == mode:
                return before, before
            return before, await reader.set_mode(namespace, name, mode, dry_run=dry_run)

        before, after = with_reader(where, work)
        if output == "table":
            for line in summary_lines(before, after, dry_run=dry_run):
                click.echo(line)
        else:
            out.emit(document(before, after, dry_run=dry_run), output)

    return switch


def mode_of(aiapi: Manifest) -> str:
    """The AIApi's mode."""
    return str(((aiapi.get("spec") or {}).get("scaling") or {}).get("mode", "Auto"))


def summary_lines(before: Manifest, after: Manifest, *, dry_run: bool) -> list[str]:
    """What was before, what is now, and who may set it back."""
    name, was, now = after["metadata"]["name"], mode_of(before), mode_of(after)
    if was == now:
        return [f"aiapi/{name}: mode is {now} already; {_MEANS.get(now, '')}"]
    tried = " (dry run: nothing was changed)" if dry_run else ""
    told = [f"aiapi/{name}: mode was {was}, is now {now}{tried}; {_MEANS.get(now, '')}"]
    if other := mode_manager(before):
        told.append(f"note: {other} set the mode before, and may set it back")
    return told


def mode_manager(aiapi: Manifest) -> str:
    """Who else manages the mode, such as a GitOps controller; empty where nobody does."""
    for entry in aiapi["metadata"].get("managedFields") or ():
        fields: Any = entry.get("fieldsV1") or {}
        for key in ("f:spec", "f:scaling", "f:mode"):
            fields = fields.get(key) if isinstance(fields, dict) else None
        if fields is not None and entry.get("manager") != FIELD_MANAGER:
            return str(entry.get("manager", ""))
    return ""


def document(before: Manifest, after: Manifest, *, dry_run: bool) -> dict[str, Any]:
    """For programs."""
    metadata = after["metadata"]
    return {
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "before": mode_of(before),
        "after": mode_of(after),
        "dryRun": dry_run,
    }


pause: Callable[..., Any] = _switch(
    "pause", "Paused", "Let the operator decide nothing for NAME; what runs stays as it is."
)
resume: Callable[..., Any] = _switch("resume", "Auto", "Let the operator act on NAME again.")
recommend: Callable[..., Any] = _switch(
    "recommend", "Recommend", "Let the operator tell what it would do with NAME, and not do it."
)
