"""What makes a child go with its AIApi, also while the operator is away."""

from typing import Any

from aiapi_operator.api import AIApi
from aiapi_operator.manifests.labels import labels


def owner_reference(aiapi: AIApi) -> dict[str, Any]:
    """The AIApi as the one controller of a child.

    ``blockOwnerDeletion`` lets ``kubectl delete --cascade=foreground`` wait for the pods.
    Where OwnerReferencesPermissionEnforcement is on, it needs ``update`` on
    ``aiapis/finalizers``; the operator has that right and sets no finalizer with it.
    """
    return {
        "apiVersion": aiapi.api_version,
        "kind": aiapi.kind,
        "name": aiapi.name,
        "uid": aiapi.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def child_metadata(aiapi: AIApi, name: str) -> dict[str, Any]:
    """Metadata of a child."""
    return {
        "name": name,
        "namespace": aiapi.namespace,
        "labels": labels(aiapi.name),
        "ownerReferences": [owner_reference(aiapi)],
    }
