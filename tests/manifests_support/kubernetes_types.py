"""Checks plain objects against the types of the official client."""

import re
from collections.abc import Iterator
from typing import Any

from kubernetes import client

_KINDS = {
    "Deployment": client.V1Deployment,
    "NetworkPolicy": client.V1NetworkPolicy,
    "PodDisruptionBudget": client.V1PodDisruptionBudget,
    "Secret": client.V1Secret,
    "Service": client.V1Service,
    "ServiceAccount": client.V1ServiceAccount,
}
_PLAIN: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "bytes": (str,),
    "int": (int,),
    "bool": (bool,),
    "object": (str, int),
    "datetime": (str,),
    "float": (int, float),
}


def mismatches(manifest: dict[str, Any]) -> list[str]:
    """Fields that are unknown or have the wrong type."""
    return list(_walk(manifest, _KINDS[manifest["kind"]].__name__, manifest["kind"]))


def _walk(value: Any, type_name: str, path: str) -> Iterator[str]:
    listed = re.fullmatch(r"[Ll]ist\[(.*)\]", type_name)
    mapped = re.fullmatch(r"[Dd]ict\[str, (.*)\]", type_name)
    if listed:
        yield from _walk_all(value, list, listed[1], path)
    elif mapped:
        yield from _walk_all(value, dict, mapped[1], path)
    elif type_name in _PLAIN:
        if not isinstance(value, _PLAIN[type_name]):
            yield f"{path}: {value!r} is no {type_name}"
    else:
        yield from _walk_model(value, type_name, path)


def _walk_all(value: Any, kind: type, item_type: str, path: str) -> Iterator[str]:
    if not isinstance(value, kind):
        yield f"{path}: {value!r} is no {kind.__name__}"
        return
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in pairs:
        yield from _walk(item, item_type, f"{path}[{key}]")


def _walk_model(value: Any, type_name: str, path: str) -> Iterator[str]:
    model = getattr(client, type_name)
    types = {model.attribute_map[name]: kind for name, kind in model.openapi_types.items()}
    for key, item in value.items():
        if key not in types:
            yield f"{path}.{key}: unknown field"
        else:
            yield from _walk(item, types[key], f"{path}.{key}")
