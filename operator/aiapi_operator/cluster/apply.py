"""Server-side apply, and plain reads.

``force`` is safe because the operator sends only fields that it owns. Fields that it does not send,
such as ``spec.replicas`` or fields of other managers, keep their values.
"""

from collections.abc import Mapping
from contextlib import suppress

from aiapi_operator.cluster.connection import APPLY, MERGE, Connection, Request
from aiapi_operator.cluster.errors import NotFound
from aiapi_operator.cluster.resources import FIELD_MANAGER, Manifest, Resource, of

_QUERY = {"fieldManager": FIELD_MANAGER, "force": "true"}
_STRICT = {**_QUERY, "fieldValidation": "Strict"}
"""Not for the status: an operator that is newer than the CRD writes the fields that it has."""


async def apply(connection: Connection, manifest: Manifest) -> Manifest:
    """Apply ``manifest`` and return the object. An unchanged object causes no write.

    Raises ``Invalid`` for a field that the API server does not know: a typing error in a
    podTemplate would else be dropped.
    """
    metadata = manifest["metadata"]
    path = of(manifest).path(metadata["namespace"], metadata["name"])
    return await _send(connection, path, manifest, _STRICT)


async def apply_status(connection: Connection, manifest: Manifest) -> Manifest:
    """Apply the ``status`` of ``manifest``. A ``metadata.uid`` in it must match the object."""
    metadata = manifest["metadata"]
    path = of(manifest).path(metadata["namespace"], metadata["name"], "status")
    return await _send(connection, path, manifest)


async def _send(
    connection: Connection, path: str, manifest: Manifest, query: Mapping[str, str] = _QUERY
) -> Manifest:
    answer: Manifest = await connection.send(
        Request("PATCH", path, query=query, body=manifest, content_type=APPLY)
    )
    return answer


async def replace_part(connection: Connection, manifest: Manifest, part: Manifest) -> None:
    """Replace the fields in ``part``, lists as a whole, of the object in ``manifest``.

    Server-side apply merges lists by key and keeps the entries of other managers.
    """
    metadata = manifest["metadata"]
    path = of(manifest).path(metadata["namespace"], metadata["name"])
    query = {"fieldManager": FIELD_MANAGER}
    await connection.send(Request("PATCH", path, query=query, body=part, content_type=MERGE))


async def delete(connection: Connection, resource: Resource, namespace: str, name: str) -> None:
    """Delete the object, if it exists."""
    with suppress(NotFound):
        await connection.send(Request("DELETE", resource.path(namespace, name)))


async def get(
    connection: Connection, resource: Resource, namespace: str, name: str
) -> Manifest | None:
    """Return the object, or None when it does not exist."""
    try:
        answer: Manifest = await connection.send(Request("GET", resource.path(namespace, name)))
    except NotFound:
        return None
    return answer


async def list_labelled(
    connection: Connection, resource: Resource, namespace: str, selector: str
) -> list[Manifest]:
    """List the objects of one kind in a namespace that match a label selector."""
    answer = await connection.send(
        Request("GET", resource.collection(namespace), query={"labelSelector": selector})
    )
    # Items of a list have no kind, but callers distinguish manifests by kind.
    kind = {"apiVersion": resource.api_version, "kind": resource.kind}
    return [{**kind, **item} for item in answer["items"]]
