"""A running pod's CPU and memory, changed in place through the ``resize`` subresource.

The patch is a strategic merge, because a plain merge patch replaces the list of containers.
Kubernetes accepts it and the kubelet carries it out later, or says in the pod's conditions why
not: ``PodResizePending`` with the reason ``Deferred`` (the node is full now) or ``Infeasible``
(the node could never hold it).
"""

from typing import Any

from aiapi_operator.cluster.connection import STRATEGIC, Connection, Request
from aiapi_operator.cluster.resources import FIELD_MANAGER, PODS, Manifest


async def resize(
    connection: Connection, namespace: str, pod: str, container: str, resources: dict[str, Any]
) -> Manifest:
    """Give the container these requests and limits, and return the pod.

    ``Forbidden`` when the node (or a quota) cannot hold it, ``Invalid`` when a rule forbids it.
    """
    answer: Manifest = await connection.send(
        Request(
            "PATCH",
            PODS.path(namespace, pod, "resize"),
            query={"fieldManager": FIELD_MANAGER},
            body={"spec": {"containers": [{"name": container, "resources": resources}]}},
            content_type=STRATEGIC,
        )
    )
    return answer


def pending(pod: Manifest) -> str:
    """``Deferred`` or ``Infeasible`` while the node has not taken up a resize, else empty."""
    for condition in pod.get("status", {}).get("conditions") or ():
        if condition.get("type") == "PodResizePending" and condition.get("status") == "True":
            return str(condition.get("reason") or "Deferred")
    return ""
