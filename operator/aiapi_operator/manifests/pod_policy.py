"""Checks a podTemplate against what the cluster's administrator allows. Pure.

The operator may create pods that the author of an AIApi may not. So it creates none that are
stronger than the policy, whatever Pod Security level the namespace has.
"""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

from aiapi_operator.api import AIApi
from aiapi_operator.api.model import Model
from aiapi_operator.manifests import service_account
from aiapi_operator.manifests.overlay import Json, set_fields

_ROOT = "spec.podTemplate.spec"
_HOST_NAMESPACES = ("hostNetwork", "hostPID", "hostIPC")
_ACCOUNTS = ("serviceAccountName", "serviceAccount")
_DEFAULT_ACCOUNT = "default"
_CONTAINERS = ("initContainers", "containers")


class PodTemplatePolicy(Model):
    """What a podTemplate may ask for. The defaults allow none of it."""

    host_namespaces: bool = False
    """hostNetwork, hostPID, hostIPC and hostPort."""
    privileged: bool = False
    """Privileged containers, an unmasked /proc, and Windows HostProcess containers."""
    host_path: bool = False
    """hostPath volumes."""
    capabilities: tuple[str, ...] = ()
    """Linux capabilities that containers may add; ALL allows each."""
    service_accounts: tuple[str, ...] = ()
    """Service accounts besides the AIApi's own: patterns of NAMESPACE/NAME, in which * matches any
    text. The account ``default`` is allowed where its token is not mounted: it brings image pull
    secrets and no rights."""


def violations(aiapi: AIApi, policy: PodTemplatePolicy) -> list[str]:
    """Each field of the podTemplate that the policy forbids, with what to do."""
    spec = set_fields(aiapi.spec.pod_template).get("spec") or {}
    found = [
        *_pod(spec, policy),
        *_service_accounts(spec, aiapi, policy),
        *_volumes(spec, policy),
        *(each for kind in _CONTAINERS for each in _containers(spec, kind, policy)),
    ]
    return [
        f"{_ROOT}.{path} is forbidden: remove it, or have an administrator allow it with"
        f" podTemplatePolicy.{field} in the values of the operator's chart"
        for path, field in found
    ]


_Found = Iterator[tuple[str, str]]
"""The forbidden fields, each with the field of the policy that allows it."""


def _pod(spec: Json, policy: PodTemplatePolicy) -> _Found:
    if not policy.host_namespaces:
        yield from ((key, "hostNamespaces") for key in _HOST_NAMESPACES if spec.get(key))
    yield from _windows(spec, "", policy)


def _service_accounts(spec: Json, aiapi: AIApi, policy: PodTemplatePolicy) -> _Found:
    for key in _ACCOUNTS:
        name = spec.get(key)
        if name == _DEFAULT_ACCOUNT and not _mounts_token(spec):
            continue
        if name and name != service_account.name(aiapi):
            account = f"{aiapi.namespace}/{name}"
            if not any(fnmatchcase(account, pattern) for pattern in policy.service_accounts):
                yield key, "serviceAccounts"


def _mounts_token(spec: Json) -> bool:
    """Whether the pod gets a token of its account; the operator's default is no."""
    sources = (
        source
        for volume in _objects(spec.get("volumes"))
        for source in _objects(_object(volume.get("projected")).get("sources"))
    )
    asked = spec.get("automountServiceAccountToken") not in (None, False)
    return asked or any("serviceAccountToken" in source for source in sources)


def _volumes(spec: Json, policy: PodTemplatePolicy) -> _Found:
    if policy.host_path:
        return
    for index, volume in enumerate(_objects(spec.get("volumes"))):
        if volume.get("hostPath") is not None:
            yield f"volumes[{volume.get('name', index)}].hostPath", "hostPath"


def _containers(spec: Json, kind: str, policy: PodTemplatePolicy) -> _Found:
    for index, container in enumerate(_objects(spec.get(kind))):
        path = f"{kind}[{container.get('name', index)}]."
        context = _object(container.get("securityContext"))
        if not policy.privileged:
            if context.get("privileged"):
                yield f"{path}securityContext.privileged", "privileged"
            if context.get("procMount") not in (None, "Default"):
                yield f"{path}securityContext.procMount", "privileged"
        yield from _windows(container, path, policy)
        if not policy.host_namespaces and any(
            port.get("hostPort") for port in _objects(container.get("ports"))
        ):
            yield f"{path}ports.hostPort", "hostNamespaces"
        if not _may_add(_object(context.get("capabilities")).get("add"), policy):
            yield f"{path}securityContext.capabilities.add", "capabilities"


def _windows(owner: Json, path: str, policy: PodTemplatePolicy) -> _Found:
    options = _object(_object(owner.get("securityContext")).get("windowsOptions"))
    if options.get("hostProcess") and not policy.privileged:
        yield f"{path}securityContext.windowsOptions.hostProcess", "privileged"


def _may_add(wanted: Any, policy: PodTemplatePolicy) -> bool:
    if not wanted or "ALL" in policy.capabilities:
        return True
    allowed = {_capability(name) for name in policy.capabilities}
    return isinstance(wanted, Sequence) and all(_capability(name) in allowed for name in wanted)


def _capability(name: Any) -> str:
    """The name without its optional prefix."""
    return str(name).upper().removeprefix("CAP_")


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[Json]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
