"""The pod: everything but the app container is merged into the operator's pod template."""

import copy
from collections.abc import Mapping
from typing import Any

from aiapi_operator.api.container import APP_CONTAINER
from aiapi_operator.plugin.adopt.fields import Fields
from aiapi_operator.plugin.adopt.notebook import Notebook
from aiapi_operator.plugin.adopt.remarks import AdoptionError

RESERVED_VOLUMES = ("admin-token", "aiapi-runtime")
_DEFAULTS: tuple[tuple[str, Any], ...] = (
    ("restartPolicy", "Always"),
    ("dnsPolicy", "ClusterFirst"),
    ("schedulerName", "default-scheduler"),
    ("securityContext", {}),
)
SHORTEST_GRACE = 10
_USER = ("runAsUser", "runAsGroup")


def convert(
    pod: Fields, notes: Notebook, *, old: str, name: str, labels: Mapping[str, str]
) -> dict[str, Any]:
    """``podTemplate.spec`` without its app container, which ``old`` names in the Deployment."""
    pod.drop(*_DEFAULTS)
    found: dict[str, Any] = {**_account(pod, notes), **_security(pod, notes)}
    grace = pod.take("terminationGracePeriodSeconds")
    if grace is not None and grace < SHORTEST_GRACE:
        reason = f"the operator needs at least {SHORTEST_GRACE} s to drain a pod; 30 s apply"
        notes.lost(f"{pod.path}.terminationGracePeriodSeconds", reason, grace)
    elif grace is not None:
        found["terminationGracePeriodSeconds"] = grace
    if pod.take("serviceAccount") is not None:
        notes.changed(f"{pod.path}.serviceAccount", "an alias of serviceAccountName")
    _check_volumes(pod)
    rest = pod.rest()
    _explain_missing(rest, notes, pod.path)
    return {
        **found,
        **_select_new_pods(rest, labels, notes, pod.path, name),
        **_sidecars(rest, old),
    }


def _check_volumes(pod: Fields) -> None:
    for volume in pod.rest().get("volumes") or ():
        if volume.get("name") in RESERVED_VOLUMES:
            raise AdoptionError(
                f"{pod.path}.volumes: the operator has a volume {volume['name']} of its own:"
                " rename it in the Deployment"
            )


def _account(pod: Fields, notes: Notebook) -> dict[str, Any]:
    """The same service account, because image pull secrets and cloud identities depend on it."""
    account = pod.take("serviceAccountName") or "default"
    token = pod.take("automountServiceAccountToken")
    if token is None:
        token = account != "default"
        notes.changed(
            f"{pod.path}.automountServiceAccountToken",
            "not set in the Deployment. The token is mounted for a service account of its own, and"
            " not for default: change it if the app calls the Kubernetes API, or does not",
        )
    return {"serviceAccountName": account, "automountServiceAccountToken": token}


def _security(pod: Fields, notes: Notebook) -> dict[str, Any]:
    """The user of the image, unless the Deployment names one: its files belong to that user."""
    given = pod.take("securityContext") or {}
    if "runAsNonRoot" in given:
        return {"securityContext": given}
    notes.changed(
        f"{pod.path}.securityContext.runAsNonRoot",
        "not set in the Deployment, so false; the operator's default is true",
    )
    return {"securityContext": {"runAsNonRoot": False, **given}}


def omitted(given: Mapping[str, Any], notes: Notebook, path: str) -> dict[str, Any]:
    """``podTemplate.omit``: the image's own user stays, unless the Deployment names one."""
    if all(field in given for field in _USER):
        return {}
    notes.changed(
        f"{path}.securityContext",
        f"{' and '.join(field for field in _USER if field not in given)} not set in the Deployment:"
        " omit keeps the user of the image. Without it, the pods run as user 65532",
    )
    return {"omit": ["RunAsUser"]}


def _explain_missing(rest: Mapping[str, Any], notes: Notebook, path: str) -> None:
    if rest.get("hostNetwork"):
        notes.changed(
            f"{path}.hostNetwork",
            "the pods take ports 8000 and 9000 of their node, which must be free, and one pod fits"
            " on a node",
        )
    if "enableServiceLinks" not in rest:
        notes.changed(
            f"{path}.enableServiceLinks",
            "not set in the Deployment, and false in the new pods: set it to true if the app reads"
            " variables such as NAME_SERVICE_HOST of other Services",
        )


def _sidecars(rest: Mapping[str, Any], old: str) -> dict[str, Any]:
    """Containers that refer to the app container by its old name."""
    found = copy.deepcopy(
        {key: rest[key] for key in ("containers", "initContainers") if rest.get(key)}
    )
    for containers in found.values():
        for container in containers:
            if container["name"] == APP_CONTAINER:
                container["name"] = f"{APP_CONTAINER}-sidecar"
            for variable in container.get("env") or ():
                field = (variable.get("valueFrom") or {}).get("resourceFieldRef") or {}
                if field.get("containerName") == old:
                    field["containerName"] = APP_CONTAINER
    return found


def _select_new_pods(
    rest: Mapping[str, Any], labels: Mapping[str, str], notes: Notebook, path: str, name: str
) -> dict[str, Any]:
    """The pod spec whose selectors of its own pods select the new pods."""
    own = {"matchLabels": {"aiapi.dev/name": name}}

    def walk(value: Any, where: str) -> Any:
        if isinstance(value, list):
            return [walk(item, f"{where}[{at}]") for at, item in enumerate(value)]
        if not isinstance(value, dict):
            return value
        return {
            key: replaced(item, f"{where}.{key}") if key == "labelSelector" else
            walk(item, f"{where}.{key}")
            for key, item in value.items()
        }  # fmt: skip

    def replaced(selector: Any, where: str) -> Any:
        wanted = (selector or {}).get("matchLabels") or {}
        if not wanted or (selector or {}).get("matchExpressions"):
            if (selector or {}).get("matchExpressions"):
                notes.changed(where, "kept; check whether it must select the new pods", selector)
            return selector
        if wanted.items() <= labels.items():
            notes.changed(where, "selected the Deployment's own pods", selector)
            return own
        return selector

    return {
        key: walk(value, f"{path}.{key}") if key in ("affinity", "topologySpreadConstraints")
        else value
        for key, value in rest.items()
    }  # fmt: skip
