"""How many pods: the Deployment's ``scale`` subresource, and which pods go first.

The ``scale`` subresource writes ``spec.replicas`` and nothing else, so neither an apply of the
Deployment nor a person's edit of another field gets in the way.
"""

from aiapi_operator.cluster.connection import MERGE, Connection, Request
from aiapi_operator.cluster.resources import DEPLOYMENTS, FIELD_MANAGER, PODS

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
"""The ReplicaSet controller removes pods with the lowest cost first."""


async def scale(connection: Connection, namespace: str, name: str, replicas: int) -> str:
    """Ask the Deployment for this many pods, and return its new resourceVersion."""
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
    """Say how much it would cost to lose this pod."""
    await connection.send(
        Request(
            "PATCH",
            PODS.path(namespace, pod),
            query={"fieldManager": FIELD_MANAGER},
            body={"metadata": {"annotations": {DELETION_COST: str(cost)}}},
            content_type=MERGE,
        )
    )
