"""Everything the operator does to a cluster, in one object over one connection."""

from typing import Any

from aiapi_operator.cluster import apply, resize, scale
from aiapi_operator.cluster.connection import Connection
from aiapi_operator.cluster.events import EventRecorder
from aiapi_operator.cluster.resources import PODS, Manifest, Resource


class KubernetesCluster:
    """The engine's view of Kubernetes."""

    def __init__(self, connection: Connection, recorder: EventRecorder) -> None:
        self._connection = connection
        self._recorder = recorder

    async def get(self, resource: Resource, namespace: str, name: str) -> Manifest | None:
        """The object, or None when it is not there."""
        return await apply.get(self._connection, resource, namespace, name)

    async def pods(self, namespace: str, selector: str) -> list[Manifest]:
        """The pods that carry these labels."""
        return await apply.list_labelled(self._connection, PODS, namespace, selector)

    async def apply(self, manifest: Manifest) -> Manifest:
        """Make the object as the manifest says, and return it."""
        return await apply.apply(self._connection, manifest)

    async def replace_part(self, manifest: Manifest, part: Manifest) -> None:
        """Set the fields in ``part``, lists as a whole, of the object the manifest names."""
        await apply.replace_part(self._connection, manifest, part)

    async def apply_status(self, manifest: Manifest) -> Manifest:
        """Write the manifest's status, and return the object."""
        return await apply.apply_status(self._connection, manifest)

    async def scale(self, namespace: str, name: str, replicas: int) -> str:
        """Ask the Deployment for this many pods; returns its new resourceVersion."""
        return await scale.scale(self._connection, namespace, name, replicas)

    async def set_deletion_cost(self, namespace: str, pod: str, cost: int) -> None:
        """Say which pods go first: those with the lowest cost."""
        await scale.set_deletion_cost(self._connection, namespace, pod, cost)

    async def resize(
        self, namespace: str, pod: str, container: str, resources: dict[str, Any]
    ) -> Manifest:
        """Give a running container other requests and limits, and return the pod."""
        return await resize.resize(self._connection, namespace, pod, container, resources)

    async def emit(self, regarding: Manifest, *, kind: str, reason: str, message: str) -> None:
        """Say something about an object as an Event."""
        await self._recorder.emit(regarding, kind=kind, reason=reason, message=message)
