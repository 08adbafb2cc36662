"""Scales Deployments through the ``scale`` subresource, and sets pod deletion costs.

The ``scale`` subresource writes only ``spec.replicas``, so it does not conflict with an apply of
the Deployment or an edit of another field.
"""

from aiapi_operator.cluster.connection import MERGE, Connection, Request
from aiapi_operator.cluster.resources import DEPLOYMENTS, FIELD_MANAGER, PODS

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
"""The ReplicaSet controller deletes pods with the lowest cost first."""
_WAKE_DEADLINE = 5.0
"""Seconds. Requests wait meanwhile, and the caller tries again."""


async def scale(connection: Connection, namespace: str, name: str, replicas: int) -> str:
    """Scale the Deployment and return its new resourceVersion."""
    answer = await connection.send(
        Request(
            "PATCH",
            DEPLOYMENTS.path(namespace, name, "scale"),
            query={"fieldManager": FIELD_MANAGER},
            body={"spec": {"replicas": replicas}},
            content_type=MERGE,
        )
    )
    return str(answer["metadata"].get("resourceVersion", ""))


async def set_deletion_cost(connection: Connection, namespace: str, pod: str, cost: int) -> None:
    """Set the deletion cost of a pod."""
    await connection.send(
        Request(
            "PATCH",
            PODS.path(namespace, pod),
            query={"fieldManager": FIELD_MANAGER},
            body={"metadata": {"annotations": {DELETION_COST: str(cost)}}},
            content_type=MERGE,
        )
    )


async def raise_scale(connection: Connection, namespace: str, name: str, replicas: int) -> bool:
    """Scale the Deployment up to ``replicas``. Returns False if it has as many already.

    Raises ``Conflict`` when another client changed the Deployment in between: it may have scaled
    it further, and this must not lower it.
    """
    path = DEPLOYMENTS.path(namespace, name, "scale")
    current = await connection.send(Request("GET", path, deadline=_WAKE_DEADLINE))
    if (current.get("spec") or {}).get("replicas", 0) >= replicas:
        return False
    version = current["metadata"].get("resourceVersion", "")
    await connection.send(
        Request(
            "PATCH",
            path,
            query={"fieldManager": FIELD_MANAGER},
            body={"metadata": {"resourceVersion": version}, "spec": {"replicas": replicas}},
            content_type=MERGE,
            deadline=_WAKE_DEADLINE,
        )
    )
    return True
