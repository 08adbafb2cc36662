"""What the operator needs of a pod, put back after the user's podTemplate was laid over it.

Without its labels a pod is not found, without its command it has no workers to count, without
the token and the admin port it cannot be asked, without ``/readyz`` it takes traffic too soon,
and its requests belong to the right-sizer. No podTemplate can take these away.
"""

from typing import Any

from aiapi_operator.api.container import APP_CONTAINER, OWNED_ENV
from aiapi_operator.manifests.app_container import TOKEN_FOLDER, TOKEN_VOLUME
from aiapi_operator.manifests.overlay import Json, are_objects, merge
from aiapi_operator.manifests.ports import ADMIN, HTTP

_FIXED = ("image", "command", "args", "resizePolicy")
_HANDLERS = ("exec", "grpc", "tcpSocket")
_PORT_NAMES = {HTTP.name, ADMIN.name}
_PORT_NUMBERS = {HTTP.number, ADMIN.number}


def put_back(generated: Json, merged: Json) -> Json:
    """The merged pod template with everything that the operator needs as it was generated."""
    spec = merged["spec"]
    app = _app(generated["spec"])
    containers = [
        _serving(app, container) if container["name"] == APP_CONTAINER else container
        for container in spec["containers"]
    ]
    return {
        **merged,
        "metadata": merge(merged["metadata"], {"labels": generated["metadata"]["labels"]}),
        "spec": {
            **spec,
            "containers": containers,
            "volumes": _kept(generated["spec"], spec, "volumes", ("name", TOKEN_VOLUME)),
        },
    }


def _app(spec: Json) -> Json:
    return next(found for found in spec["containers"] if found["name"] == APP_CONTAINER)


def _serving(generated: Json, merged: Json) -> Json:
    """The app's container with what makes it the operator's."""
    free = {key: value for key, value in merged.items() if key not in _FIXED}
    fixed = {key: generated[key] for key in _FIXED if key in generated}
    return {
        "name": APP_CONTAINER,
        **fixed,
        **free,
        "ports": _ports(generated, merged),
        "env": _env(generated, merged),
        "volumeMounts": _kept(generated, merged, "volumeMounts", ("mountPath", TOKEN_FOLDER)),
        "resources": _resources(generated, merged),
        "readinessProbe": _probe(generated, merged),
    }


def _kept(generated: Json, merged: Json, key: str, mark: tuple[str, str]) -> Any:
    """The merged list with the one marked item as it was generated."""
    field, value = mark
    needed = [item for item in generated[key] if item[field] == value]
    found = merged.get(key, [])
    if not are_objects(found):
        return found
    return [*needed, *(item for item in found if item.get(field) != value)]


def _ports(generated: Json, merged: Json) -> Any:
    found = merged.get("ports", [])
    if not are_objects(found):
        return found
    others = [
        port
        for port in found
        if port.get("name") not in _PORT_NAMES and port.get("containerPort") not in _PORT_NUMBERS
    ]
    return [*generated["ports"], *others]


def _env(generated: Json, merged: Json) -> Any:
    found = merged.get("env", [])
    if not are_objects(found):
        return found
    needed = [variable for variable in generated["env"] if variable["name"] in OWNED_ENV]
    return [*needed, *(variable for variable in found if variable.get("name") not in OWNED_ENV)]


def _resources(generated: Json, merged: Json) -> Any:
    """Limits and other resources, such as GPUs, are the user's; CPU and memory requests not."""
    found = merged.get("resources", {})
    if not isinstance(found, dict) or not isinstance(found.get("requests", {}), dict):
        return found
    return merge(found, generated["resources"])


def _probe(generated: Json, merged: Json) -> Any:
    """Its times are the user's; what it asks is not."""
    found = merged.get("readinessProbe", generated["readinessProbe"])
    if not isinstance(found, dict):
        return found
    times = {key: value for key, value in found.items() if key not in _HANDLERS}
    return {**times, "httpGet": generated["readinessProbe"]["httpGet"]}
