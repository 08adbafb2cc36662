"""All requests of the operator, over one connection."""

from collections.abc import Mapping
from typing import Any

from aiapi_operator.cluster import apply, resize, scale, shards
from aiapi_operator.cluster.connection import Connection
from aiapi_operator.cluster.events import EventRecorder
from aiapi_operator.cluster.resources import PODS, Manifest, Resource


class KubernetesCluster:
    """Implements the engine's ``Cluster`` on the Kubernetes API."""

    def __init__(self, connection: Connection, recorder: EventRecorder) -> None:
        self._connection = connection
        self._recorder = recorder

    async def get(self, resource: Resource, namespace: str, name: str) -> Manifest | None:
        """Return the object, or None when it does not exist."""
        return await apply.get(self._connection, resource, namespace, name)

    async def pods(self, namespace: str, selector: str) -> list[Manifest]:
        """List the pods that match a label selector."""
        return await apply.list_labelled(self._connection, PODS, namespace, selector)

    async def apply(self, manifest: Manifest) -> Manifest:
        """Apply the manifest and return the object."""
        return await apply.apply(self._connection, manifest)

    async def delete(self, resource: Resource, namespace: str, name: str) -> None:
        """Delete an object, if it exists."""
        await apply.delete(self._connection, resource, namespace, name)

    async def replace_part(self, manifest: Manifest, part: Manifest) -> None:
        """Replace the fields in ``part``, lists as a whole, of the object in ``manifest``."""
        await apply.replace_part(self._connection, manifest, part)

    async def apply_status(self, manifest: Manifest) -> Manifest:
        """Apply the manifest's status and return the object."""
        return await apply.apply_status(self._connection, manifest)

    async def scale(self, namespace: str, name: str, replicas: int) -> str:
        """Scale the Deployment and return its new resourceVersion."""
        return await scale.scale(self._connection, namespace, name, replicas)

    async def set_deletion_cost(self, namespace: str, pod: str, cost: int) -> None:
        """Set the pod's deletion cost. Pods with the lowest cost are deleted first."""
        await scale.set_deletion_cost(self._connection, namespace, pod, cost)

    async def resize(
        self, namespace: str, pod: str, container: str, resources: dict[str, Any]
    ) -> Manifest:
        """Change requests and limits of a running container, and return the pod."""
        return await resize.resize(self._connection, namespace, pod, container, resources)

    async def relabel(self, manifest: Manifest, labels: Mapping[str, str | None]) -> None:
        """Set labels, or remove those that are None, if this is still the object's version."""
        await shards.relabel(self._connection, manifest, labels)

    async def emit(self, regarding: Manifest, *, kind: str, reason: str, message: str) -> None:
        """Post an Event about an object."""
        await self._recorder.emit(regarding, kind=kind, reason=reason, message=message)
