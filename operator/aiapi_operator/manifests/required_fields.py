"""Restores the fields that the operator requires after the user's podTemplate was merged.

The operator finds pods by their labels, needs the command to set workers, the token and the admin
port to scrape, and ``/readyz`` to keep a pod from receiving traffic too early. The right-sizer
sets the requests. The app container starts with the injected runtime. A podTemplate cannot change
these fields.
"""

from typing import Any

from aiapi_operator.api.container import APP_CONTAINER, OWNED_ENV
from aiapi_operator.manifests.app_container import TOKEN_FOLDER, TOKEN_VOLUME
from aiapi_operator.manifests.overlay import HANDLERS, Json, are_objects, merge
from aiapi_operator.manifests.ports import ADMIN, HTTP
from aiapi_operator.manifests.runtime import FOLDER as RUNTIME_FOLDER
from aiapi_operator.manifests.runtime import NAME as RUNTIME

_FIXED = ("image", "command", "args", "resizePolicy")
_FIXED_IN_INIT = ("image", "command", "args", "volumeMounts")
_VOLUMES = {TOKEN_VOLUME, RUNTIME}
_FOLDERS = {TOKEN_FOLDER, RUNTIME_FOLDER}
_PORT_NAMES = {HTTP.name, ADMIN.name}
_PORT_NUMBERS = {HTTP.number, ADMIN.number}


def restore_required(generated: Json, merged: Json) -> Json:
    """The merged pod template with all required fields as generated."""
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
            **_init_containers(generated["spec"], spec),
            "volumes": _kept(generated["spec"], spec, "volumes", ("name", _VOLUMES)),
        },
    }


def _app(spec: Json) -> Json:
    return next(found for found in spec["containers"] if found["name"] == APP_CONTAINER)


def _init_containers(generated: Json, merged: Json) -> Json:
    """The init containers, first of all the one of the runtime if there is one."""
    needed = generated.get("initContainers", [])
    found = merged.get("initContainers", [])
    if not needed or not are_objects(found):
        return {}
    names = {container["name"] for container in needed}
    changed = {c.get("name"): c for c in found if c.get("name") in names}
    own = [_fixed(container, changed.get(container["name"], container)) for container in needed]
    return {"initContainers": [*own, *(c for c in found if c.get("name") not in names)]}


def _fixed(generated: Json, merged: Json) -> Json:
    """An init container in which only resources, security context and the like may differ."""
    free = {key: value for key, value in merged.items() if key not in _FIXED_IN_INIT}
    return {**free, **{key: generated[key] for key in _FIXED_IN_INIT if key in generated}}


def _serving(generated: Json, merged: Json) -> Json:
    """The app container with its required fields."""
    free = {key: value for key, value in merged.items() if key not in _FIXED}
    fixed = {key: generated[key] for key in _FIXED if key in generated}
    return {
        "name": APP_CONTAINER,
        **fixed,
        **free,
        "ports": _ports(generated, merged),
        "env": _env(generated, merged),
        "volumeMounts": _kept(generated, merged, "volumeMounts", ("mountPath", _FOLDERS)),
        "resources": _resources(generated, merged),
        "readinessProbe": _probe(generated, merged),
    }


def _kept(generated: Json, merged: Json, key: str, marks: tuple[str, set[str]]) -> Any:
    """The merged list with the marked items as generated."""
    field, values = marks
    needed = [item for item in generated[key] if item[field] in values]
    names = {item[field] for item in needed}
    found = merged.get(key, [])
    if not are_objects(found):
        return found
    others = (item for item in found if not _is_any(item.get(field), names))
    return [*needed, *others]


def _is_any(value: Any, names: set[str]) -> bool:
    """Whether a value, which may be malformed, is one of the names."""
    return isinstance(value, str) and value in names


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
    """Users may set limits and other resources, such as GPUs, but no CPU or memory requests."""
    found = merged.get("resources", {})
    if not isinstance(found, dict) or not isinstance(found.get("requests", {}), dict):
        return found
    return merge(found, generated["resources"])


def _probe(generated: Json, merged: Json) -> Any:
    """Users may change the probe's timing, but not its handler."""
    found = merged.get("readinessProbe", generated["readinessProbe"])
    if not isinstance(found, dict):
        return found
    timing = {key: value for key, value in found.items() if key not in HANDLERS}
    return {**timing, "httpGet": generated["readinessProbe"]["httpGet"]}
