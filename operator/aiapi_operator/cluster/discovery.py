"""API discovery: whether the CRD is installed, and what this version of Kubernetes can do."""

import re
from typing import Any

from aiapi_operator.cluster.connection import Connection, Request
from aiapi_operator.cluster.errors import NotFound
from aiapi_operator.cluster.resources import AIAPIS, PODS, Resource

_IMAGE_VOLUMES = (1, 36)
_SECURITY_CONSTRAINTS = Resource(
    "security.openshift.io", "v1", "securitycontextconstraints", "SecurityContextConstraints"
)


async def has_aiapis(connection: Connection) -> bool:
    """Whether the CustomResourceDefinition of AIApis is installed and served."""
    return await _serves(connection, AIAPIS.root, AIAPIS.plural)


async def has_resize(connection: Connection) -> bool:
    """Whether this API server has ``pods/resize`` (Kubernetes 1.33 and later)."""
    return await _serves(connection, PODS.root, "pods/resize")


async def has_image_volumes(connection: Connection) -> bool:
    """Whether this API server has image volumes for good (Kubernetes 1.36 and later).

    Earlier versions know the field, but drop or refuse it depending on a feature gate that
    discovery does not show.
    """
    answer = await connection.send(Request("GET", "/version"))
    return _version(answer) >= _IMAGE_VOLUMES


async def assigns_users(connection: Connection) -> bool:
    """Whether this cluster assigns a user to each pod and rejects others, as OpenShift does."""
    return await _serves(connection, _SECURITY_CONSTRAINTS.root, _SECURITY_CONSTRAINTS.plural)


def _version(answer: dict[str, Any]) -> tuple[int, int]:
    """The version, also of a vendor that writes the minor as 36+; 0.0 if it is not known."""
    found = [re.match(r"\d+", str(answer.get(part, ""))) for part in ("major", "minor")]
    major, minor = (int(number.group()) if number else 0 for number in found)
    return major, minor


async def _serves(connection: Connection, root: str, name: str) -> bool:
    try:
        answer = await connection.send(Request("GET", root))
    except NotFound:
        return False
    return any(entry.get("name") == name for entry in answer.get("resources") or ())
