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
    "Auto": "the operator applies its decisions",
    "Recommend": "the operator reports its decisions and does not apply them",
    "Paused": "the operator makes no decisions; workers and pods are not changed",
}


def _mode_command(command: str, mode: str, help_text: str) -> click.Command:
    @click.command(name=command, help=help_text)
    @name_argument
    @cluster_options()
    @click.option(
        "--dry-run", is_flag=True, help="Validate on the API server without changing anything."
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
    """The mode before and after, and who may revert it."""
    name, was, now = after["metadata"]["name"], mode_of(before), mode_of(after)
    if was == now:
        return [f"aiapi/{name}: mode is already {now}: {_MEANS.get(now, '')}"]
    suffix = " (dry run)" if dry_run else ""
    lines = [f"aiapi/{name}: mode changed from {was} to {now}{suffix}: {_MEANS.get(now, '')}"]
    if other := mode_manager(before):
        lines.append(f"note: {other} also manages the mode and may revert it")
    return lines


def mode_manager(aiapi: Manifest) -> str:
    """Another field manager of the mode, such as a GitOps controller; empty if none."""
    for entry in aiapi["metadata"].get("managedFields") or ():
        fields: Any = entry.get("fieldsV1") or {}
        for key in ("f:spec", "f:scaling", "f:mode"):
            fields = fields.get(key) if isinstance(fields, dict) else None
        if fields is not None and entry.get("manager") != FIELD_MANAGER:
            return str(entry.get("manager", ""))
    return ""


def document(before: Manifest, after: Manifest, *, dry_run: bool) -> dict[str, Any]:
    """The JSON form."""
    metadata = after["metadata"]
    return {
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "before": mode_of(before),
        "after": mode_of(after),
        "dryRun": dry_run,
    }


pause: Callable[..., Any] = _mode_command(
    "pause", "Paused", "Stop making decisions for NAME. Workers and pods are not changed."
)
resume: Callable[..., Any] = _mode_command("resume", "Auto", "Apply decisions for NAME again.")
recommend: Callable[..., Any] = _mode_command(
    "recommend", "Recommend", "Report decisions for NAME without applying them."
)
