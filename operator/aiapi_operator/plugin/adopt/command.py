"""``kubectl aiapi adopt deployment/NAME``: write, or apply, the AIApi of a Deployment."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from aiapi_operator.api import AIApi
from aiapi_operator.api.spec import Mode
from aiapi_operator.cluster.reader import Reader
from aiapi_operator.manifests.pod_policy import PodTemplatePolicy, violations
from aiapi_operator.plugin.adopt import document, sources
from aiapi_operator.plugin.adopt.choices import Choices
from aiapi_operator.plugin.adopt.convert import Adoption, convert
from aiapi_operator.plugin.adopt.related import Belongings, Manifest
from aiapi_operator.plugin.adopt.remarks import AdoptionError, Remark
from aiapi_operator.plugin.adopt.validation import validate
from aiapi_operator.plugin.cluster_access import ClusterOptions, cluster_options, with_reader
from aiapi_operator.plugin.errors import USAGE, CommandError


@click.command()
@click.argument("target", metavar="deployment/NAME")
@cluster_options()
@click.option(
    "-f",
    "--filename",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="Read the objects from a file (- for standard input) instead of from the cluster.",
)
@click.option("--name", default="", help="Name of the AIApi. Default: NAME-aiapi.")
@click.option("--app", default="", metavar="MODULE:ATTRIBUTE", help="The app, if it is not found.")
@click.option("--command", default="", metavar="LINE", help="The command that starts the server.")
@click.option("--container", default="", help="The container of the app. Default: found.")
@click.option(
    "--mode",
    type=click.Choice([each.value for each in Mode]),
    default=Mode.RECOMMEND.value,
    show_default=True,
    help="spec.scaling.mode of the AIApi.",
)
@click.option("--apply", "applied", is_flag=True, help="Apply the AIApi instead of printing it.")
@click.option("--dry-run", is_flag=True, help="With --apply: validate on the API server only.")
def adopt(
    where: ClusterOptions, *, target: str, filename: Path | None, applied: bool, **options: Any
) -> None:
    """Write the AIApi of a Deployment, with its Service, HPA or ScaledObject, and budget.

    Nothing is changed. What cannot be carried over is a comment with the reason. With --apply, the
    AIApi is created beside the Deployment, which keeps its pods, its autoscaler and all traffic.
    """
    name = sources.deployment_name(target)
    dry_run = options.pop("dry_run")
    if dry_run and not applied:
        raise click.UsageError("--dry-run is for --apply: without it, nothing is changed")
    given = _read(where, filename, name)
    adoption = converted(given, Choices(**options))
    if not applied:
        click.echo(document.render(adoption), nl=False)
        return
    manifest = _apply(where, adoption.manifest, dry_run=dry_run)
    for line in summary_lines(manifest, adoption, dry_run=dry_run):
        click.echo(line)


def converted(given: Belongings, choices: Choices) -> Adoption:
    """The valid AIApi. Raises ``CommandError``."""
    try:
        adoption = convert(given, choices)
        validate(adoption.manifest)
    except AdoptionError as error:
        raise CommandError(f"{given.name}: {error}", USAGE) from error
    return replace(adoption, remarks=(*adoption.remarks, *forbidden(adoption)))


def forbidden(adoption: Adoption) -> list[Remark]:
    """What the operator refuses unless its administrator allows it."""
    aiapi = AIApi.model_validate(adoption.manifest)
    return [
        Remark(origin=adoption.origin, field=field, reason=reason, near="podTemplate")
        for field, _, reason in (
            each.partition(" is ") for each in violations(aiapi, PodTemplatePolicy())
        )
    ]


def _read(where: ClusterOptions, filename: Path | None, name: str) -> Belongings:
    if filename is not None:
        return sources.from_file(filename, name)

    async def work(reader: Reader) -> Belongings:
        return await sources.from_cluster(reader, where.home(reader), name)

    return with_reader(where, work)


def _apply(where: ClusterOptions, manifest: Manifest, *, dry_run: bool) -> Manifest:
    async def work(reader: Reader) -> Manifest:
        metadata = {"namespace": where.home(reader), **manifest["metadata"]}
        return await reader.apply_aiapi({**manifest, "metadata": metadata}, dry_run=dry_run)

    return with_reader(where, work)


def summary_lines(manifest: Manifest, adoption: Adoption, *, dry_run: bool) -> list[str]:
    """What was applied, and what to do next."""
    name = manifest["metadata"]["name"]
    suffix = " (dry run)" if dry_run else ""
    lost = sum(not each.near for each in adoption.remarks)
    mode = manifest["spec"]["scaling"]["mode"]
    return [
        f"aiapi/{name}: applied in mode {mode}{suffix}; {adoption.origin} is unchanged",
        *(f"note: {each.text}" for each in forbidden(adoption)),
        f"note: {lost} fields were not carried over; run the command without --apply to see them",
        f"next: wait until aiapi/{name} is Ready, then move the traffic (page Adopt a Deployment)",
    ]
