"""Where the Deployment and its belongings come from: the cluster, or a file of manifests."""

from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click
import yaml

from aiapi_operator.cluster import autoscalers
from aiapi_operator.cluster.errors import Forbidden
from aiapi_operator.cluster.reader import Reader
from aiapi_operator.cluster.resources import DEPLOYMENTS, POD_DISRUPTION_BUDGETS, SERVICES, Resource
from aiapi_operator.plugin.adopt.related import Belongings, Manifest, find
from aiapi_operator.plugin.errors import NOT_FOUND, CommandError

_KINDS = (DEPLOYMENTS, SERVICES, POD_DISRUPTION_BUDGETS, *autoscalers.KINDS)
_NAMES = {"deployment", "deployments", "deploy", "deployments.apps", "deployment.apps"}


def is_deployment(target: str) -> bool:
    """Whether the argument names a Deployment, as in deployment/assistant."""
    kind, slash, name = target.partition("/")
    return bool(slash and name) and kind.lower() in _NAMES


def deployment_name(target: str) -> str:
    """The name in ``deployment/NAME``."""
    if not is_deployment(target):
        raise click.UsageError(
            f"{target!r} is not a Deployment; use a form such as deployment/NAME"
        )
    return target.partition("/")[2]


async def from_cluster(reader: Reader, namespace: str, name: str) -> Belongings:
    """The Deployment with everything of its namespace that belongs to it."""
    objects: list[Manifest] = []
    unread: list[str] = []
    for resource in _KINDS:
        try:
            objects += await reader.objects(resource, namespace)
        except Forbidden as error:
            if resource is DEPLOYMENTS:
                raise
            unread.append(_forbidden(resource, error))
    return _belongings(objects, name, f"namespace {namespace}", tuple(unread))


def _forbidden(resource: Resource, error: Forbidden) -> str:
    return f"{resource.plural} were not read, and are not carried over: {error.message}"


def from_file(path: Path, name: str) -> Belongings:
    """The Deployment of a file, such as the output of ``helm template``."""
    try:
        with click.open_file(str(path), encoding="utf-8") as file:
            documents = [each for each in yaml.safe_load_all(file) if isinstance(each, dict)]
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} is not valid YAML: {error}") from error
    objects = [item for each in documents for item in _items(each)]
    return _belongings(objects, name, str(path), ())


def _items(document: dict[str, Any]) -> list[Manifest]:
    found = document.get("items") if str(document.get("kind", "")).endswith("List") else [document]
    return [each for each in found or () if isinstance(each, dict) and _is_named(each)]


def _is_named(manifest: Manifest) -> bool:
    return bool((manifest.get("metadata") or {}).get("name")) and isinstance(
        manifest.get("spec") or {}, dict
    )


def _belongings(
    objects: list[Manifest], name: str, where: str, unread: tuple[str, ...]
) -> Belongings:
    deployments = {each["metadata"]["name"]: each for each in objects
                   if each.get("kind") == "Deployment"}  # fmt: skip
    if name in deployments:
        return find(deployments[name], objects, unread=unread)
    near = get_close_matches(name, deployments, n=3) or sorted(deployments)[:10]
    known = f" It has: {', '.join(near)}." if near else ""
    raise CommandError(f"Deployment {name!r} not found in {where}.{known}", NOT_FOUND)
