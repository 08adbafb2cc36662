"""Scales Deployments through the ``scale`` subresource, and sets pod deletion costs.

The ``scale`` subresource writes only ``spec.replicas``, so it does not conflict with an apply of
the Deployment or an edit of another field.
"""

from aiapi_operator.cluster.connection import MERGE, Connection, Request
from aiapi_operator.cluster.resources import DEPLOYMENTS, FIELD_MANAGER, PODS

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
"""The ReplicaSet controller deletes pods with the lowest cost first."""


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
