"""The app container: its image, variables, ports, probes and other fields."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from aiapi_operator.api.container import APP_CONTAINER, OWNED_ENV, EnvFromSource, EnvVar
from aiapi_operator.plugin.adopt.fields import Fields
from aiapi_operator.plugin.adopt.notebook import Notebook
from aiapi_operator.plugin.adopt.remarks import AdoptionError

HTTP_PORT, ADMIN_PORT = 8000, 9000
_START_LIMIT = 300
"""Seconds that the runtime gives a worker to start by default."""
_DEFAULTS = (
    ("terminationMessagePath", "/dev/termination-log"),
    ("terminationMessagePolicy", "File"),
)
_PROBE_DEFAULTS = {"initialDelaySeconds": 0, "periodSeconds": 10, "failureThreshold": 3}
_HANDLERS = ("httpGet", "tcpSocket", "exec", "grpc")
_OLD_PORT = f"its command calls port {{}}; the app is at {HTTP_PORT}"
_PROXIES = "FORWARDED_ALLOW_IPS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variables:
    """The variables of the app container."""

    env: list[dict[str, Any]]
    env_from: list[dict[str, Any]]
    overlay: list[dict[str, Any]]
    """Variables with a source that ``spec.env`` does not have."""

    def literals(self) -> dict[str, str]:
        """The values that are known here."""
        return {each["name"]: each.get("value") or "" for each in self.env
                if "valueFrom" not in each}  # fmt: skip


def variables(container: Fields, notes: Notebook, old: str) -> Variables:
    """The environment, without what the operator sets and without duplicates."""
    given: dict[str, dict[str, Any]] = {}
    path = f"{container.path}.env"
    for each in container.take("env") or ():
        name = each["name"]
        if name in OWNED_ENV:
            notes.lost(f"{path}[{name}]", "the operator sets this variable", each)
            continue
        if name in given:
            reason = "set twice: Kubernetes uses the last value"
            notes.lost(f"{path}[{name}]", reason, given.pop(name))
        given[name] = _renamed(each, old)
        if given[name] != each:
            notes.changed(f"{path}[{name}]", f"refers to the container {APP_CONTAINER}", each)
    env = [each for each in given.values() if _is_valid(EnvVar, each)]
    sources = container.take("envFrom") or []
    for at, source in enumerate(sources):
        if not _is_valid(EnvFromSource, source):
            notes.lost(f"{container.path}.envFrom[{at}]", "unknown source", source)
    return Variables(
        env=env,
        env_from=[source for source in sources if _is_valid(EnvFromSource, source)],
        overlay=[each for each in given.values() if each not in env],
    )


def _renamed(variable: dict[str, Any], old: str) -> dict[str, Any]:
    source = variable.get("valueFrom") or {}
    field = source.get("resourceFieldRef")
    if not field or field.get("containerName") != old:
        return variable
    return {
        **variable,
        "valueFrom": {"resourceFieldRef": {**field, "containerName": APP_CONTAINER}},
    }


def _is_valid(model: type[EnvVar] | type[EnvFromSource], value: Mapping[str, Any]) -> bool:
    try:
        model.model_validate(value)
    except ValidationError:
        return False
    return True


def with_runtime_options(found: Variables, options: Mapping[str, str]) -> list[dict[str, Any]]:
    """The variables and those that replace options of the command, which win over the variables."""
    proxies = next((each for each in found.env if each["name"] == _PROXIES), None)
    added = {name: {"name": name, "value": value} for name, value in options.items()}
    own = f"AIAPI_{_PROXIES}"
    if proxies is not None and own not in added:
        added[own] = {**proxies, "name": own}
    kept = [each for each in found.env if each["name"] not in added]
    return [*kept, *added.values()]


def overlay(container: Fields, notes: Notebook, port: "AppPort") -> dict[str, Any]:
    """The other fields, to be merged into the app container."""
    container.drop(*_DEFAULTS)
    found: dict[str, Any] = {
        **_ports(container, notes, port),
        **_probes(container, notes, port),
        **_lifecycle(container, notes, port),
        **_security(container, notes),
    }
    return {**found, **container.rest()}


@dataclass(frozen=True, slots=True, kw_only=True)
class AppPort:
    """The port on which the old container serves HTTP."""

    name: str = ""
    number: int = 0

    def is_meant_by(self, port: Any) -> bool:
        """Whether a probe or a Service means this port."""
        return port is not None and str(port) in (self.name, str(self.number))

    def is_called_by(self, value: Any) -> bool:
        """Whether a command or an address has the number, which is another one in the new pods."""
        if not self.number or self.number == HTTP_PORT:
            return False
        return re.search(rf"(?<!\d){self.number}(?!\d)", json.dumps(value)) is not None


def app_port(container: Mapping[str, Any], targets: set[str], command: str) -> AppPort:
    """The port that the Service, or else the command, or else the first entry names."""
    ports = [AppPort(name=each.get("name", ""), number=each["containerPort"])
             for each in container.get("ports") or ()]  # fmt: skip
    for each in ports:
        if {each.name, str(each.number)} & targets:
            return each
    for each in ports:
        if str(each.number) in command:
            return each
    numbers = [target for target in targets if target.isdecimal()]
    return ports[0] if ports else AppPort(number=int(numbers[0]) if numbers else 0)


def _ports(container: Fields, notes: Notebook, port: AppPort) -> dict[str, Any]:
    """Ports besides HTTP. The HTTP port is 8000, named http; admin is 9000."""
    kept = []
    for each in container.take("ports") or ():
        number, name = each["containerPort"], each.get("name", "")
        path = f"{container.path}.ports[{name or number}]"
        if number == port.number:
            notes.changed(path, f"HTTP is port {HTTP_PORT}, named http", each)
        elif number in (HTTP_PORT, ADMIN_PORT) or name in ("http", "admin"):
            notes.lost(path, f"the pod uses {HTTP_PORT} (http) and {ADMIN_PORT} (admin)", each)
        else:
            kept.append(each)
    return {"ports": kept} if kept else {}


def _probes(container: Fields, notes: Notebook, port: AppPort) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if readiness := container.take("readinessProbe"):
        notes.lost(
            f"{container.path}.readinessProbe",
            "the operator's own probe asks the runtime whether its workers serve; it does not call"
            " the app",
            readiness,
        )
    for name in ("startupProbe", "livenessProbe"):
        probe = container.take(name)
        if probe:
            kept = _probe(probe, f"{container.path}.{name}", notes, port)
            found |= {name: kept} if kept else {}
    return found


def start_limit(container: Mapping[str, Any]) -> int:
    """Seconds that the probes give the app to start, if that is longer than the runtime's limit."""
    probe = container.get("startupProbe") or container.get("livenessProbe") or {}
    timing = {**_PROBE_DEFAULTS, **{key: probe[key] for key in _PROBE_DEFAULTS if key in probe}}
    seconds = (
        timing["initialDelaySeconds"] + timing["periodSeconds"] * timing["failureThreshold"]
    )  # fmt: skip
    return seconds if probe and seconds > _START_LIMIT else 0


def _probe(probe: dict[str, Any], path: str, notes: Notebook, port: AppPort) -> dict[str, Any]:
    """The probe with the new port. It replaces the operator's probe of the same kind."""
    if port.is_called_by(probe.get("exec")):
        notes.lost(path, _OLD_PORT.format(port.number), probe)
        return {}
    handler = next((name for name in _HANDLERS if name in probe), "")
    kept = dict(probe)
    used = (probe.get(handler) or {}).get("port") if handler else None
    if used is not None and port.is_meant_by(used):
        notes.changed(f"{path}.{handler}.port", "the app is at the port named http", used)
        kept[handler] = {**probe[handler], "port": HTTP_PORT if handler == "grpc" else "http"}
    if handler == "httpGet" and (probe["httpGet"].get("scheme") or "HTTP") != "HTTP":
        notes.lost(
            f"{path}.httpGet.scheme", "the pod serves plain HTTP", probe["httpGet"]["scheme"]
        )
        kept["httpGet"] = {**kept["httpGet"], "scheme": "HTTP"}
    return kept


def _lifecycle(container: Fields, notes: Notebook, port: AppPort) -> dict[str, Any]:
    hooks = container.take("lifecycle")
    if not hooks:
        return {}
    found = {}
    for name, hook in hooks.items():
        path = f"{container.path}.lifecycle.{name}"
        kept = _hook(hook, name, path, notes, port) if isinstance(hook, dict) else hook
        if kept:
            found[name] = kept
    return {"lifecycle": found} if found else {}


def _hook(
    hook: dict[str, Any], name: str, path: str, notes: Notebook, port: AppPort
) -> dict[str, Any]:
    """The hook with the new port; empty if it cannot work in the new pods."""
    call = hook.get("httpGet") or {}
    calls_app = port.is_meant_by(call.get("port"))
    if calls_app and name == "postStart":
        reason = (
            "it calls the app before the workers listen, and its failure restarts the container:"
            " warm up in the app's lifespan"
        )
        notes.lost(path, reason, hook)
        return {}
    if port.is_called_by(hook.get("exec")):
        notes.lost(path, _OLD_PORT.format(port.number), hook)
        return {}
    if calls_app:
        notes.changed(f"{path}.httpGet.port", "the app is at the port named http", call["port"])
        return {**hook, "httpGet": {**call, "port": "http"}}
    return hook


def _security(container: Fields, notes: Notebook) -> dict[str, Any]:
    """Writable files unless the Deployment forbids them: the app may write beside its code."""
    given = container.take("securityContext") or {}
    if "readOnlyRootFilesystem" in given:
        return {"securityContext": given}
    notes.changed(
        f"{container.path}.securityContext.readOnlyRootFilesystem",
        "not set in the Deployment, so false; the operator's default is true. Try it: /tmp is"
        " writable",
    )
    return {"securityContext": {"readOnlyRootFilesystem": False, **given}}


def image(container: Fields) -> str:
    """The image; without one there is nothing to run."""
    found = container.take("image")
    if not found:
        raise AdoptionError(f"{container.path}.image is empty: name the image in the Deployment")
    return str(found)
