"""A container's environment, command and arguments, as the kubelet builds them. Pure.

Unlike a kubelet, the sandbox has no mount namespaces. It rewrites paths below a volume's mountPath,
in environment values, command and arguments, to the volume's directory.
"""

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Any

from aiapi_sandbox.apimachinery.quantities import parse_quantity

JsonObject = Mapping[str, Any]
Lookup = Callable[[str], Mapping[str, str] | None]
_REFERENCE = re.compile(r"\$\$|\$\(([^()\s$]*)\)")
_PATH_FIELD = re.compile(r"^metadata\.(labels|annotations)\['(.+)'\]$")


class ContainerConfigError(Exception):
    """The container's configuration is invalid, for example because a Secret is missing."""


@dataclass(frozen=True, kw_only=True)
class EnvSources:
    """The objects that `env` and `envFrom` refer to."""

    pod: JsonObject
    container: JsonObject
    secret: Lookup
    config_map: Lookup
    allocatable: Mapping[str, str] = field(default_factory=dict)


def expand(text: str, env: Mapping[str, str]) -> str:
    """Expand $(NAME). Unknown names are kept, and $$ becomes $."""

    def replace(match: re.Match[str]) -> str:
        if match.group(0) == "$$":
            return "$"
        return env.get(match.group(1), match.group(0))

    return _REFERENCE.sub(replace, text)


def container_env(sources: EnvSources, base: Mapping[str, str]) -> dict[str, str]:
    """Return `base` overridden by envFrom, then by env, in order."""
    env = dict(base)
    for source in sources.container.get("envFrom", []):
        env.update(_from_env_source(source, sources))
    for entry in sources.container.get("env", []):
        value = _entry_value(entry, sources, env)
        if value is not None:
            env[entry["name"]] = value
    return env


def _entry_value(entry: JsonObject, sources: EnvSources, env: Mapping[str, str]) -> str | None:
    if "valueFrom" not in entry:
        return expand(entry.get("value", ""), env)
    origin = entry["valueFrom"]
    if "fieldRef" in origin:
        return field_value(sources.pod, origin["fieldRef"]["fieldPath"])
    if "resourceFieldRef" in origin:
        return resource_value(sources, origin["resourceFieldRef"])
    if "secretKeyRef" in origin:
        return _key_ref(origin["secretKeyRef"], sources.secret, "secret", sources)
    if "configMapKeyRef" in origin:
        return _key_ref(origin["configMapKeyRef"], sources.config_map, "configmap", sources)
    raise ContainerConfigError(
        f"env {entry['name']}: this valueFrom source is not supported in the sandbox"
    )


def _key_ref(reference: JsonObject, lookup: Lookup, kind: str, sources: EnvSources) -> str | None:
    name, key = reference.get("name", ""), reference["key"]
    data = lookup(name)
    if data is not None and key in data:
        return data[key]
    if reference.get("optional"):
        return None
    if data is None:
        raise ContainerConfigError(f'{kind} "{name}" not found')
    namespace = sources.pod["metadata"]["namespace"]
    shown = "Secret" if kind == "secret" else "ConfigMap"
    raise ContainerConfigError(f"couldn't find key {key} in {shown} {namespace}/{name}")


def _from_env_source(source: JsonObject, sources: EnvSources) -> dict[str, str]:
    prefix = source.get("prefix", "")
    for name, kind, lookup in (
        ("secretRef", "secret", sources.secret),
        ("configMapRef", "configmap", sources.config_map),
    ):
        if name in source:
            reference = source[name]
            data = lookup(reference["name"])
            if data is None and not reference.get("optional"):
                raise ContainerConfigError(f'{kind} "{reference["name"]}" not found')
            return {prefix + key: value for key, value in (data or {}).items()}
    return {}


def field_value(pod: JsonObject, path: str) -> str:
    """Resolve the field path of a fieldRef."""
    metadata, spec, status = pod["metadata"], pod["spec"], pod.get("status", {})
    if match := _PATH_FIELD.match(path):
        return str(metadata.get(match.group(1), {}).get(match.group(2), ""))
    values = {
        "metadata.name": metadata.get("name"),
        "metadata.namespace": metadata.get("namespace"),
        "metadata.uid": metadata.get("uid"),
        "metadata.labels": _format_map(metadata.get("labels", {})),
        "metadata.annotations": _format_map(metadata.get("annotations", {})),
        "spec.nodeName": spec.get("nodeName"),
        "spec.serviceAccountName": spec.get("serviceAccountName", "default"),
        "status.hostIP": status.get("hostIP"),
        "status.hostIPs": status.get("hostIP"),
        "status.podIP": status.get("podIP"),
        "status.podIPs": status.get("podIP"),
    }
    if path not in values:
        raise ContainerConfigError(f"unsupported fieldPath: {path}")
    return str(values[path] or "")


def _format_map(values: Mapping[str, str]) -> str:
    return "\n".join(f'{key}="{value}"' for key, value in sorted(values.items()))


def resource_value(sources: EnvSources, reference: JsonObject) -> str:
    """Resolve a resourceFieldRef. A missing limit defaults to the node's allocatable."""
    container = sources.container
    if (name := reference.get("containerName", container["name"])) != container["name"]:
        named = (c for c in sources.pod["spec"]["containers"] if c["name"] == name)
        container = next(named, container)
    section, _, resource = reference["resource"].partition(".")
    resources = container.get("resources", {})
    amount = resources.get(section, {}).get(resource)
    if amount is None and section == "limits":
        amount = sources.allocatable.get(resource)
    divisor = parse_quantity(reference.get("divisor", "1")) or Decimal(1)
    value = parse_quantity(amount or "0") / divisor
    return str(value.to_integral_value(rounding=ROUND_CEILING))


@dataclass(frozen=True, kw_only=True)
class PathRewriter:
    """Rewrites paths below mount paths to volume directories; the longest mount path wins.

    A path that exists in the image's directory is the image's file.
    """

    mounts: Mapping[str, Path]
    root: Path | None = None

    def __call__(self, text: str) -> str:
        for mount in sorted(self.mounts, key=len, reverse=True):
            if text == mount or text.startswith(mount.rstrip("/") + "/"):
                return str(self.mounts[mount]) + text[len(mount.rstrip("/")) :]
        return self._in_image(text)

    def _in_image(self, text: str) -> str:
        if self.root is None or not text.startswith("/") or not text.strip("/") or "\0" in text:
            return text
        found = str(self.root) + text
        return found if os.path.lexists(found) else text

    def environment(
        self, env: Mapping[str, str], *, untouched: Mapping[str, str]
    ) -> dict[str, str]:
        """Rewrite the values from the container's spec, but not those in `untouched`.

        Values such as TMPDIR already are real paths. A volume at /tmp must not rewrite them.
        """
        return {
            name: value if untouched.get(name) == value else self(value)
            for name, value in env.items()
        }

    def argument(self, text: str) -> str:
        """Rewrite an argument, also in the form `--option=PATH`."""
        option, equals, value = text.partition("=")
        if equals and option.startswith("-"):
            return f"{option}={self(value)}"
        return self(text)


def command_line(
    container: JsonObject,
    *,
    entrypoint: Sequence[str],
    arguments: Sequence[str] = (),
    env: Mapping[str, str],
) -> list[str]:
    """Return command and args with variables expanded. A command replaces the image's both."""
    own = container.get("command")
    command: Iterable[str] = own or entrypoint
    args: Iterable[str] = container.get("args") or (() if own else arguments)
    return [expand(part, env) for part in (*command, *args)]


def service_links(services: Iterable[JsonObject]) -> dict[str, str]:
    """The service environment variables, for the Services in a pod's namespace."""
    env: dict[str, str] = {}
    for service in services:
        address = service["spec"].get("clusterIP", "")
        ports = service["spec"].get("ports", [])
        if not ports or address in ("", "None"):
            continue
        name = service["metadata"]["name"].upper().replace("-", "_")
        first = ports[0]["port"]
        env[f"{name}_SERVICE_HOST"] = address
        env[f"{name}_SERVICE_PORT"] = str(first)
        env[f"{name}_PORT"] = f"tcp://{address}:{first}"
        for port in ports:
            if port.get("name"):
                env[f"{name}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = str(
                    port["port"]
                )
            link = f"{name}_PORT_{port['port']}_TCP"
            env[link] = f"tcp://{address}:{port['port']}"
            env[f"{link}_ADDR"], env[f"{link}_PORT"] = address, str(port["port"])
            env[f"{link}_PROTO"] = "tcp"
    return env
