"""A pod's volumes, as directories below the sandbox's data directory.

There are no mounts: the pod's containers share one directory per volume, and paths below a
mountPath are rewritten to it (see `environment.py`).
"""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiapi_sandbox.node.environment import (
    ContainerConfigError,
    EnvSources,
    field_value,
    resource_value,
)

JsonObject = Mapping[str, Any]
FileContents = dict[str, bytes]
ObjectLookup = Callable[[str], JsonObject | None]
_EPHEMERAL = ("emptyDir", "ephemeral")


class VolumeError(Exception):
    """A volume cannot be set up, now or ever."""


@dataclass(frozen=True, kw_only=True)
class VolumeSources:
    """The sources of the volumes' content."""

    pod: JsonObject
    secret: ObjectLookup
    config_map: ObjectLookup
    token: str
    claim: Callable[[str], Path | None] = lambda _name: None
    allocatable: Mapping[str, str] = field(default_factory=dict)


def link_image(directory: Path, image: Path) -> None:
    """Show the content of an image as a volume."""
    if not directory.is_symlink():
        directory.symlink_to(image, target_is_directory=True)


def secret_data(secret: JsonObject) -> FileContents:
    """Return a Secret's values as bytes."""
    return {key: base64.b64decode(value) for key, value in (secret.get("data") or {}).items()}


def config_map_data(config_map: JsonObject) -> FileContents:
    """Return a ConfigMap's values as bytes."""
    text = {key: value.encode() for key, value in (config_map.get("data") or {}).items()}
    return text | secret_data({"data": config_map.get("binaryData")})


def write_volume(volume: JsonObject, directory: Path, sources: VolumeSources) -> None:
    """Create the directory of a volume, or update its files. See `link_image` for images."""
    if "image" in volume:
        return
    if "persistentVolumeClaim" in volume:
        _link_claim(volume["persistentVolumeClaim"]["claimName"], directory, sources)
        return
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(kind in volume for kind in _EPHEMERAL):
        return
    for name, content in contents(volume, sources).items():
        path = directory / name
        if path.exists() and path.read_bytes() == content:
            continue
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.new")
        temporary.touch(mode=0o600)
        temporary.write_bytes(content)
        temporary.replace(path)


def _link_claim(name: str, directory: Path, sources: VolumeSources) -> None:
    shared = sources.claim(name)
    if shared is None:
        raise VolumeError(f'persistentvolumeclaim "{name}" not found')
    shared.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not directory.is_symlink():
        directory.symlink_to(shared, target_is_directory=True)


def contents(volume: JsonObject, sources: VolumeSources) -> FileContents:
    """Return the files of a Secret, ConfigMap, downwardAPI or projected volume."""
    if "projected" in volume:
        merged: FileContents = {}
        for part in volume["projected"].get("sources", ()):
            merged |= contents(part, sources)
        return merged
    if "secret" in volume:
        origin = volume["secret"]
        name = origin.get("secretName") or origin.get("name", "")
        return _selected(origin, "secret", name, sources.secret, secret_data)
    if "configMap" in volume:
        origin = volume["configMap"]
        return _selected(
            origin, "configmap", origin.get("name", ""), sources.config_map, config_map_data
        )
    if "downwardAPI" in volume:
        return {
            item["path"]: _downward_api_value(item, sources)
            for item in volume["downwardAPI"]["items"]
        }
    if "serviceAccountToken" in volume:
        return {volume["serviceAccountToken"]["path"]: sources.token.encode()}
    kind = next((key for key in volume if key != "name"), "these")
    raise VolumeError(f"{kind} volumes are not supported in the sandbox")


def _selected(
    origin: JsonObject,
    kind: str,
    name: str,
    lookup: ObjectLookup,
    read: Callable[[JsonObject], FileContents],
) -> FileContents:
    found = lookup(name)
    if found is None:
        if origin.get("optional"):
            return {}
        raise VolumeError(f'{kind} "{name}" not found')
    data = read(found)
    if "items" not in origin:
        return data
    missing = [item["key"] for item in origin["items"] if item["key"] not in data]
    if missing and not origin.get("optional"):
        raise VolumeError(f"references non-existent {kind} key: {missing[0]}")
    return {item["path"]: data[item["key"]] for item in origin["items"] if item["key"] in data}


def _downward_api_value(item: JsonObject, sources: VolumeSources) -> bytes:
    try:
        if "fieldRef" in item:
            return field_value(sources.pod, item["fieldRef"]["fieldPath"]).encode()
        lookup = EnvSources(
            pod=sources.pod,
            container=sources.pod["spec"]["containers"][0],
            secret=lambda _name: None,
            config_map=lambda _name: None,
            allocatable=sources.allocatable,
        )
        return resource_value(lookup, item["resourceFieldRef"]).encode()
    except ContainerConfigError as error:
        raise VolumeError(str(error)) from error


def mounts(container: JsonObject, volumes: Path) -> dict[str, Path]:
    """Map each mountPath of a container to its directory."""
    found = {}
    for mount in container.get("volumeMounts", ()):
        path = volumes / mount["name"]
        found[mount["mountPath"]] = path / mount["subPath"] if mount.get("subPath") else path
    return found
