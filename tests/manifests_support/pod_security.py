"""The *restricted* Pod Security Standard, as the admission plugin checks it."""

from collections.abc import Iterator
from typing import Any

_VOLUMES = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim"),
    *("projected", "secret", "image"),
}
_PROFILES = {"RuntimeDefault", "Localhost"}


def violations(spec: dict[str, Any]) -> list[str]:
    """The violations in a PodSpec."""
    return [*_of_the_pod(spec), *_of_the_containers(spec)]


def _of_the_pod(spec: dict[str, Any]) -> Iterator[str]:
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            yield field
    for volume in spec.get("volumes", []):
        for source in set(volume) - {"name"} - _VOLUMES:
            yield f"volume {volume['name']} of type {source}"
    context = spec.get("securityContext", {})
    if context.get("runAsUser") == 0:
        yield "pod runAsUser=0"
    if context.get("sysctls"):
        yield "sysctls"


def _of_the_containers(spec: dict[str, Any]) -> Iterator[str]:
    pod = spec.get("securityContext", {})
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        own = container.get("securityContext", {})
        name = container["name"]
        yield from (f"{name}: {broken}" for broken in _of_a_context(own, {**pod, **own}))
        if any(port.get("hostPort") for port in container.get("ports", [])):
            yield f"{name}: hostPort"


def _of_a_context(own: dict[str, Any], effective: dict[str, Any]) -> Iterator[str]:
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation != false"
    if own.get("privileged"):
        yield "privileged"
    capabilities = own.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", []):
        yield "unrestricted capabilities"
    if set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
        yield "added capabilities"
    if effective.get("runAsNonRoot") is not True:
        yield "runAsNonRoot != true"
    if effective.get("runAsUser") == 0:
        yield "runAsUser=0"
    if effective.get("seccompProfile", {}).get("type") not in _PROFILES:
        yield "seccompProfile"
