"""Whose an object is that stands where a child should be. Pure.

Server-side apply with force would take over whatever has the child's name: a Service that
somebody made by hand, or the Deployment of a Helm release. What is not ours is left alone.
"""

from aiapi_operator.cluster.resources import FIELD_MANAGER, SECRETS, Manifest

_MANAGED_BY = "app.kubernetes.io/managed-by"


def ownership_conflict(found: Manifest, *, uid: str) -> str:
    """Why ``found`` is not a child of the AIApi with this ``uid``; empty when it is one."""
    metadata = found["metadata"]
    owners = metadata.get("ownerReferences") or ()
    controller = next((ref for ref in owners if ref.get("controller")), None)
    if controller is not None:
        if controller["uid"] == uid:
            return ""
        return _message(found, f"belongs to {controller['kind']} {controller['name']}")
    # A Secret without an owner is a token that somebody chose: it is kept and used.
    if found["kind"] == SECRETS.kind or _labels(found).get(_MANAGED_BY) == FIELD_MANAGER:
        return ""
    return _message(found, "was not made by this operator")


def _labels(found: Manifest) -> Manifest:
    return found["metadata"].get("labels") or {}


def _message(found: Manifest, whose: str) -> str:
    name = found["metadata"]["name"]
    return (
        f"{found['kind']} {name} is there already and {whose}; it is left alone. Delete or rename"
        " it, or give the AIApi another name."
    )
