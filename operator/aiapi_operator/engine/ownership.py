"""Checks whether an existing object or a pod is owned by this AIApi. Pure.

Server-side apply with force would take over any object that has the child's name, such as a
Service that was created by hand or the Deployment of a Helm release.
"""

from aiapi_operator.cluster.resources import FIELD_MANAGER, SECRETS, Manifest

_MANAGED_BY = "app.kubernetes.io/managed-by"
_REVISION = "pod-template-hash"


def ownership_conflict(found: Manifest, *, uid: str) -> str:
    """Why ``found`` is not a child of the AIApi with this ``uid``; empty when it is one."""
    metadata = found["metadata"]
    owners = metadata.get("ownerReferences") or ()
    controller = next((ref for ref in owners if ref.get("controller")), None)
    if controller is not None:
        if controller["uid"] == uid:
            return ""
        return _message(found, f"is owned by {controller['kind']} {controller['name']}")
    # A Secret without an owner holds a token that a user chose: the operator keeps and uses it.
    if found["kind"] == SECRETS.kind or _labels(found).get(_MANAGED_BY) == FIELD_MANAGER:
        return ""
    return _message(found, "was not created by this operator")


def is_pod_of(pod: Manifest, name: str) -> bool:
    """Whether a ReplicaSet of the Deployment ``name`` controls the pod. A label alone is not
    enough: pods of others may carry it."""
    owners = pod["metadata"].get("ownerReferences") or ()
    controller: Manifest = next((ref for ref in owners if ref.get("controller")), {})
    revision = _labels(pod).get(_REVISION)
    return (
        bool(revision)
        and controller.get("kind") == "ReplicaSet"
        and controller.get("name") == f"{name}-{revision}"
    )


def _labels(found: Manifest) -> Manifest:
    return found["metadata"].get("labels") or {}


def _message(found: Manifest, owner: str) -> str:
    name = found["metadata"]["name"]
    return (
        f"{found['kind']} {name} already exists and {owner}; it is not changed. Delete or rename"
        " it, or give the AIApi another name."
    )
