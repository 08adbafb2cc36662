"""Merges the user's podTemplate into the generated pod.

Maps merge key by key, and null removes a key. Lists with a merge key in Kubernetes merge by that
key: containers field by field, other items as a whole (a volume has one source, a variable one
value). Other lists are replaced, and so is the handler of a probe. Malformed values pass through
to the API server, which rejects them with a message.
"""

from collections.abc import Iterable
from typing import Any, TypeAlias

from aiapi_operator.api.container import PodTemplateOverlay

Json: TypeAlias = dict[str, Any]

_KEYED: dict[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "volumes": ("name",),
    "env": ("name",),
    "imagePullSecrets": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "ports": ("containerPort", "protocol"),
    "hostAliases": ("ip",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
}
_PROBES = {"startupProbe", "livenessProbe", "readinessProbe"}
HANDLERS = ("exec", "grpc", "httpGet", "tcpSocket")
"""What a probe does; each probe has exactly one."""
_MERGED_ITEMS = {"containers", "initContainers"}
_DEFAULTS = {"protocol": "TCP"}


def set_fields(overlay: PodTemplateOverlay) -> Json:
    """The fields that the user set, including nulls, which remove fields."""
    return overlay.model_dump(mode="json", by_alias=True, exclude_unset=True)


def merge(base: Json, overlay: Json) -> Json:
    """Merge ``overlay`` into ``base``. Both arguments stay unchanged."""
    merged = {key: value for key, value in base.items() if key not in overlay}
    for key, value in overlay.items():
        if value is not None:
            merged[key] = _merged_value(key, base.get(key), value)
    return {key: merged[key] for key in (*base, *overlay) if key in merged}


def _merged_value(key: str, below: Any, above: Any) -> Any:
    if isinstance(below, dict) and isinstance(above, dict):
        return merge(_without_handler(below) if _replaces_handler(key, above) else below, above)
    if isinstance(above, dict):
        return merge({}, above)
    if key in _KEYED and are_objects(below) and are_objects(above):
        return _merged_items(key, below, above)
    return above


def _replaces_handler(key: str, above: Json) -> bool:
    """Whether a probe has a handler of its own: a probe has only one."""
    return key in _PROBES and any(above.get(handler) is not None for handler in HANDLERS)


def _without_handler(probe: Json) -> Json:
    return {key: value for key, value in probe.items() if key not in HANDLERS}


def are_objects(value: Any) -> bool:
    """Whether ``value`` is a list of objects, so that it can merge by key."""
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _merged_items(key: str, below: Iterable[Json], above: Iterable[Json]) -> list[Json]:
    items = {_identity(key, item): item for item in below}
    for item in above:
        identity = _identity(key, item)
        under = items.get(identity, {}) if key in _MERGED_ITEMS else {}
        items[identity] = merge(under, item)
    return list(items.values())


def _identity(key: str, item: Json) -> tuple[str, ...]:
    """The merge key as text, so that a malformed key does not fail the merge."""
    return tuple(repr(item.get(part, _DEFAULTS.get(part))) for part in _KEYED[key])
