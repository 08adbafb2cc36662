"""``kubectl aiapi manifest``: the children of an AIApi as the operator would apply them."""

from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import yaml
from pydantic import ValidationError

from aiapi_operator.api import AIApi
from aiapi_operator.api.aiapi import API_VERSION, KIND
from aiapi_operator.api.field_errors import field_errors
from aiapi_operator.cluster.reader import Reader
from aiapi_operator.cluster.resources import Manifest
from aiapi_operator.manifests import Context, desired
from aiapi_operator.manifests.runtime import Delivery, Runtime
from aiapi_operator.plugin import output as out
from aiapi_operator.plugin.cluster_access import (
    ClusterOptions,
    cluster_options,
    complete_names,
    get_aiapi,
    with_reader,
)
from aiapi_operator.plugin.errors import CommandError

OPERATOR_NAMESPACE = "aiapi-system"
DEFAULT_IMAGE = f"ghcr.io/aiapi-dev/service:{version('aiapi')}"
RUNTIME_IMAGE = f"ghcr.io/aiapi-dev/runtime:{version('aiapi')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What the children depend on in the cluster."""

    resize_in_place: bool = True
    image_volumes: bool = True
    assigns_users: bool = False
    deployment: Manifest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """The operator's options that the children depend on."""

    operator_namespace: str
    default_image: str
    image_pull_secrets: tuple[str, ...]
    runtime_image: str
    runtime_delivery: str | None

    def runtime(self, cluster: Cluster) -> Runtime:
        """The runtime that this operator injects in a cluster."""
        detected = Delivery.IMAGE_VOLUME if cluster.image_volumes else Delivery.INIT_CONTAINER
        chosen = Delivery(self.runtime_delivery) if self.runtime_delivery else detected
        return Runtime(image=self.runtime_image, pull_policy="IfNotPresent", delivery=chosen)


@click.command()
@click.argument("name", required=False, shell_complete=complete_names)
@click.option(
    "-f",
    "--filename",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="Read AIApis from a file (- for standard input) instead of from the cluster.",
)
@cluster_options()
@click.option(
    "--operator-namespace",
    default=OPERATOR_NAMESPACE,
    show_default=True,
    help="Namespace of the operator, which may connect to the pods' admin port.",
)
@click.option("--default-image", default=DEFAULT_IMAGE, help="Image of AIApis without one.")
@click.option(
    "--image-pull-secret",
    "image_pull_secrets",
    multiple=True,
    help="Image pull secret of AIApis without an image; repeatable.",
)
@click.option(
    "--resize/--no-resize",
    default=None,
    help="Whether the cluster supports in-place resize. Default: detected, or yes with -f.",
)
@click.option("--runtime-image", default=RUNTIME_IMAGE, help="Image of the injected runtime.")
@click.option(
    "--runtime-delivery",
    type=click.Choice([delivery.value for delivery in Delivery]),
    help="How the runtime is injected. Default: detected, or ImageVolume with -f.",
)
@out.output_option("yaml", "yaml", "json")
def manifest(
    where: ClusterOptions, *, name: str | None, filename: Path | None, **options: Any
) -> None:
    """Print the children of NAME, or of the AIApis in a file, as the operator applies them.

    The Secret with the token of the admin port is left out: the operator generates it.
    """
    if (name is None) == (filename is None):
        raise click.UsageError("specify either NAME or -f FILE")
    output = options.pop("output")
    resize = options.pop("resize")
    if filename is not None:
        found, cluster = _from_file(filename, where.namespace or "default"), Cluster()
    else:
        found, cluster = _from_cluster(where, str(name))
    if resize is not None:
        cluster = replace(cluster, resize_in_place=resize)
    operator = Operator(**options)
    children = [child for each in found for child in children_of(each, cluster, operator)]
    if output == "json":
        out.emit({"apiVersion": "v1", "kind": "List", "items": children}, "json")
    else:
        click.echo("---\n".join(out.to_yaml(child) for child in children), nl=False)


def _from_cluster(where: ClusterOptions, name: str) -> tuple[list[Manifest], Cluster]:
    async def work(reader: Reader) -> tuple[Manifest, Cluster]:
        aiapi = await get_aiapi(reader, where, name)
        return aiapi, Cluster(
            resize_in_place=await reader.has_resize(),
            image_volumes=await reader.has_image_volumes(),
            assigns_users=await reader.assigns_users(),
            deployment=await reader.deployment(aiapi["metadata"]["namespace"], name),
        )

    aiapi, cluster = with_reader(where, work)
    return [aiapi], cluster


def _from_file(path: Path, namespace: str) -> list[Manifest]:
    try:
        with click.open_file(str(path), encoding="utf-8") as file:
            documents = [each for each in yaml.safe_load_all(file) if each is not None]
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} is not valid YAML: {error}") from error
    found = [each for each in documents if isinstance(each, dict) and each.get("kind") == KIND]
    if not found:
        raise CommandError(f"{path} contains no {KIND} ({API_VERSION})")
    for each in found:
        each.setdefault("metadata", {}).setdefault("namespace", namespace)
    return found


def children_of(document: Manifest, cluster: Cluster, operator: Operator) -> list[Manifest]:
    """The children of one AIApi. Raises ``CommandError`` with every invalid field."""
    try:
        aiapi = AIApi.model_validate({**document, "status": {}})
    except ValidationError as error:
        name = (document.get("metadata") or {}).get("name", "?")
        problems = "".join(f"\n  {fault}" for fault in field_errors(error))
        raise CommandError(f"AIApi {name} is invalid:{problems}") from error
    context = Context(
        operator_namespace=operator.operator_namespace,
        default_image=operator.default_image,
        image_pull_secrets=operator.image_pull_secrets,
        template_workers=aiapi.spec.workers.min,
        resize_in_place=cluster.resize_in_place,
        assigns_users=cluster.assigns_users,
        runtime=operator.runtime(cluster),
        keep_delivery=operator.runtime_delivery is None,
        deployment=cluster.deployment,
    )
    children = [dict(child) for child in desired(aiapi, context)]
    if not aiapi.metadata.uid:
        for child in children:
            # An AIApi that is not in a cluster has no uid for a reference.
            child["metadata"] = {
                key: value for key, value in child["metadata"].items() if key != "ownerReferences"
            }
    return children
