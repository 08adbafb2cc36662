"""Owner references: the garbage collector deletes children with their AIApi."""

from typing import Any

from aiapi_operator.api import AIApi
from aiapi_operator.manifests.labels import SHARD_LABEL, labels


def owner_reference(aiapi: AIApi) -> dict[str, Any]:
    """The AIApi as the controller of a child.

    ``blockOwnerDeletion`` lets ``kubectl delete --cascade=foreground`` wait for the pods.
    If OwnerReferencesPermissionEnforcement is enabled, it requires ``update`` on
    ``aiapis/finalizers``. The operator has this permission and sets no finalizer.
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
    shard = {key: text for key, text in aiapi.metadata.labels.items() if key == SHARD_LABEL}
    return {
        "name": name,
        "namespace": aiapi.namespace,
        "labels": {**labels(aiapi.name), **shard},
        "ownerReferences": [owner_reference(aiapi)],
    }
