"""Server-side apply, and the plain reads that go with it.

``force`` is right here: the operator sets only fields it owns, and what it owns it repairs.
Fields that it does not name (``spec.replicas``, anything another manager added) stay as they are.
"""

from aiapi_operator.cluster.connection import APPLY, MERGE, Connection, Request
from aiapi_operator.cluster.errors import NotFound
from aiapi_operator.cluster.resources import FIELD_MANAGER, Manifest, Resource, of

_QUERY = {"fieldManager": FIELD_MANAGER, "force": "true"}


async def apply(connection: Connection, manifest: Manifest) -> Manifest:
    """Make the object as ``manifest`` says and return it. An unchanged one costs no write."""
    metadata = manifest["metadata"]
    path = of(manifest).path(metadata["namespace"], metadata["name"])
    return await _send(connection, path, manifest)


async def apply_status(connection: Connection, manifest: Manifest) -> Manifest:
    """Apply the ``status`` of ``manifest``; a ``metadata.uid`` in it guards against a namesake."""
    metadata = manifest["metadata"]
    path = of(manifest).path(metadata["namespace"], metadata["name"], "status")
    return await _send(connection, path, manifest)


async def _send(connection: Connection, path: str, manifest: Manifest) -> Manifest:
    answer: Manifest = await connection.send(
        Request("PATCH", path, query=_QUERY, body=manifest, content_type=APPLY)
    )
    return answer


async def replace_part(connection: Connection, manifest: Manifest, part: Manifest) -> None:
    """Set the fields in ``part`` of the object that ``manifest`` names, lists as a whole.

    Server-side apply merges lists by their keys, and leaves entries that somebody else added.
    """
    metadata = manifest["metadata"]
    path = of(manifest).path(metadata["namespace"], metadata["name"])
    query = {"fieldManager": FIELD_MANAGER}
    await connection.send(Request("PATCH", path, query=query, body=part, content_type=MERGE))


async def get(
    connection: Connection, resource: Resource, namespace: str, name: str
) -> Manifest | None:
    """The object, or None when it is not there."""
    try:
        answer: Manifest = await connection.send(Request("GET", resource.path(namespace, name)))
    except NotFound:
        return None
    return answer


async def list_labelled(
    connection: Connection, resource: Resource, namespace: str, selector: str
) -> list[Manifest]:
    """All objects of one kind in a namespace that carry the labels."""
    answer = await connection.send(
        Request("GET", resource.collection(namespace), query={"labelSelector": selector})
    )
    # Items of a list come without their kind, which is how manifests are told apart here.
    kind = {"apiVersion": resource.api_version, "kind": resource.kind}
    return [{**kind, **item} for item in answer["items"]]
