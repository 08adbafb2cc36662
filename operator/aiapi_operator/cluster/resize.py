"""Resizes running pods in place through the ``resize`` subresource.

The patch is a strategic merge patch, because a plain merge patch replaces the list of containers.
The kubelet carries out the resize later. Until then the pod has the condition
``PodResizePending`` with reason ``Deferred`` (the node has no room now) or ``Infeasible`` (the
node is too small).
"""

from dataclasses import dataclass
from typing import Any

from aiapi_operator.cluster.connection import STRATEGIC, Connection, Request
from aiapi_operator.cluster.resources import FIELD_MANAGER, PODS, Manifest


async def resize(
    connection: Connection, namespace: str, pod: str, container: str, resources: dict[str, Any]
) -> Manifest:
    """Change requests and limits of a container, and return the pod.

    Raises ``Forbidden`` when the node or a quota has no room, ``Invalid`` when a rule rejects it.
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


@dataclass(frozen=True, slots=True)
class PendingResize:
    """A resize that the kubelet has not carried out because its node has no room."""

    reason: str
    """``Deferred`` or ``Infeasible``."""
    message: str
    current: bool
    """Whether it is known to answer the newest resize. Older Kubernetes does not report it."""


def pending(pod: Manifest) -> PendingResize | None:
    """The pending resize; None while none is, or while the kubelet's answer is to an older one."""
    generation = pod.get("metadata", {}).get("generation", 0)
    for condition in pod.get("status", {}).get("conditions") or ():
        if condition.get("type") == "PodResizePending" and condition.get("status") == "True":
            observed = condition.get("observedGeneration")
            if observed is not None and observed < generation:
                return None
            reason, message = condition.get("reason"), condition.get("message")
            return PendingResize(reason or "Deferred", message or "", observed is not None)
    return None
