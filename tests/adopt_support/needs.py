"""What a Deployment refers to: ConfigMaps, Secrets, claims, accounts, classes and node labels."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

Manifest = dict[str, Any]


def needed(deployment: Manifest, texts: Mapping[str, str]) -> list[Manifest]:
    """The objects, with ``texts`` by key; any other key has the value ``some``."""
    data: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for kind, name, keys in _references(deployment["spec"]["template"]["spec"]):
        data[kind, name] |= {key: texts.get(key, "some") for key in keys}
    return [_object(kind, name, values) for (kind, name), values in data.items()]


def _references(value: Any) -> Iterator[tuple[str, str, list[str]]]:
    """Kind, name and keys of each reference below a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for name, item in items:
        if not isinstance(item, dict | list):
            if name == "serviceAccountName":
                yield "ServiceAccount", item, []
            elif name == "priorityClassName":
                yield "PriorityClass", item, []
            continue
        if isinstance(item, dict):
            yield from _reference(str(name), item)
        yield from _references(item)


def _reference(name: str, item: Manifest) -> Iterator[tuple[str, str, list[str]]]:
    kinds = {"configMap": "ConfigMap", "secret": "Secret"}
    kind = next((kind for prefix, kind in kinds.items() if name.startswith(prefix)), "")
    if name == "persistentVolumeClaim":
        yield "PersistentVolumeClaim", item["claimName"], []
    elif kind and (of := item.get("name") or item.get("secretName")):
        keys = [each["key"] for each in item.get("items") or ()]
        yield kind, of, [*keys, *([item["key"]] if "key" in item else [])]


def _object(kind: str, name: str, values: dict[str, str]) -> Manifest:
    found: Manifest = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}}
    if kind == "ConfigMap":
        found["data"] = values
    elif kind == "Secret":
        found["stringData"] = values
    elif kind == "PriorityClass":
        found |= {"apiVersion": "scheduling.k8s.io/v1", "value": 1000}
    elif kind == "PersistentVolumeClaim":
        sizes = {"requests": {"storage": "1Gi"}}
        found["spec"] = {"accessModes": ["ReadWriteMany"], "resources": sizes}
    return found
