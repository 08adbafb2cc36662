"""What still names the old port of the app: Services, other containers and annotations.

The app moves to another port, so that everything beside it which calls the old one fails without a
word. Each such place becomes a comment, or a refusal where two containers would share a port.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiapi_operator.api.container import APP_CONTAINER
from aiapi_operator.plugin.adopt.container import ADMIN_PORT, HTTP_PORT, AppPort
from aiapi_operator.plugin.adopt.notebook import Notebook
from aiapi_operator.plugin.adopt.remarks import AdoptionError

_CALLING = (
    "command",
    "args",
    "env",
    "lifecycle",
    "startupProbe",
    "readinessProbe",
    "livenessProbe",
)
Containers = Sequence[Mapping[str, Any]]


def check_ports(others: Containers, path: str) -> None:
    """Refuse a container with a port that the app's container has in the new pods."""
    for each in others:
        for port in each.get("ports") or ():
            if port["containerPort"] in (HTTP_PORT, ADMIN_PORT):
                raise AdoptionError(
                    f"{path}[{each['name']}].ports: port {port['containerPort']} is taken in the"
                    f" new pods, where the app has {HTTP_PORT} and the runtime {ADMIN_PORT}: give"
                    f" the container {each['name']} another port in the Deployment first"
                )


def explain_calls(others: Containers, path: str, port: AppPort, notes: Notebook) -> None:
    """Other containers of the pod that name the app's old port."""
    for each in others:
        for field in _CALLING:
            if field in each and port.is_called_by(each[field]):
                reason = (
                    f"has {port.number}, the old port of the app, which is at {HTTP_PORT} in the"
                    " new pods: correct it in podTemplate if it calls the app"
                )
                notes.changed(f"{path}[{each['name']}].{field}", reason, each[field])


def explain_target(
    port: Mapping[str, Any], app: AppPort, containers: Containers, notes: Notebook
) -> None:
    """Where a port of a Service leads in the new pods, unless it is the app as before."""
    target = port.get("targetPort", port.get("port"))
    path = f"spec.ports[{port.get('name') or port['port']}].targetPort"
    owner = _owner(target, containers)
    if owner and owner != APP_CONTAINER:
        notes.lost(path, f"stays with the container {owner}, if that calls the app at {HTTP_PORT}",
                   target)  # fmt: skip
    elif target in ("http", HTTP_PORT):
        return
    elif target in ("admin", ADMIN_PORT):
        notes.lost(path, "is the runtime's admin port in the new pods: remove it from the Service"
                   " before it selects them", target)  # fmt: skip
    elif app.is_meant_by(target) or not owner:
        notes.lost(path, "the new pods serve http at 8000: set targetPort: http in the same patch"
                   " that makes the Service select them alone", target)  # fmt: skip


def _owner(target: Any, containers: Containers) -> str:
    """The container that has the port; the app first, as in a pod with two ports of a name."""
    for each in containers:
        for port in each.get("ports") or ():
            if target in (port.get("name"), port["containerPort"]):
                return str(each["name"])
    return ""


def annotations(
    given: Mapping[str, str], path: str, *, old: str, port: AppPort, notes: Notebook
) -> dict[str, str]:
    """Annotations of tools that name the app's container in their key, or its port."""
    found: dict[str, str] = {}
    for key, value in given.items():
        name, moved = _renamed(key, old), value
        if name != key:
            notes.changed(f"{path}[{key}]", f"the app's container is named {APP_CONTAINER}", value)
        elif "port" in key.lower() and port.is_called_by(value):
            words: Iterable[str] = (word.strip() for word in value.split(","))
            moved = ",".join(str(HTTP_PORT) if word == str(port.number) else word for word in words)
            notes.changed(f"{path}[{key}]", f"the app is at {HTTP_PORT}", value)
        found[name] = moved
    return found


def _renamed(key: str, old: str) -> str:
    """The key with the new name of the container, as in ad.datadoghq.com/NAME.logs."""
    domain, slash, name = key.partition("/")
    first, dot, rest = name.partition(".")
    is_per_container = domain in (
        "ad.datadoghq.com",
        "container.apparmor.security.beta.kubernetes.io",
    )
    if not (slash and is_per_container and first == old):
        return key
    return f"{domain}/{APP_CONTAINER}{dot}{rest}"
