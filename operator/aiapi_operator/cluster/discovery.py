"""API discovery: whether the CRD is installed and pods can be resized in place."""

from aiapi_operator.cluster.connection import Connection, Request
from aiapi_operator.cluster.errors import NotFound
from aiapi_operator.cluster.resources import AIAPIS, PODS


async def has_aiapis(connection: Connection) -> bool:
    """Whether the CustomResourceDefinition of AIApis is installed and served."""
    return await _serves(connection, AIAPIS.root, AIAPIS.plural)


async def has_resize(connection: Connection) -> bool:
    """Whether this API server has ``pods/resize`` (Kubernetes 1.33 and later)."""
    return await _serves(connection, PODS.root, "pods/resize")


async def _serves(connection: Connection, root: str, name: str) -> bool:
    try:
        answer = await connection.send(Request("GET", root))
    except NotFound:
        return False
    return any(entry.get("name") == name for entry in answer.get("resources") or ())
