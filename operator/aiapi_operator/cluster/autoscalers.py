"""Lists other autoscalers.

Two of the three kinds are custom resources of other projects. Where they are not installed, the
API server answers 404, and there are none.
"""

from collections.abc import AsyncIterator, Sequence

from aiapi_operator.cluster.connection import Connection, Request
from aiapi_operator.cluster.errors import NotFound
from aiapi_operator.cluster.resources import Manifest, Resource

KINDS = (
    Resource("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler"),
    Resource("keda.sh", "v1alpha1", "scaledobjects", "ScaledObject"),
    Resource("autoscaling.k8s.io", "v1", "verticalpodautoscalers", "VerticalPodAutoscaler"),
)
_PAGE = "500"


async def autoscalers(
    connection: Connection, resource: Resource, namespaces: Sequence[str]
) -> list[Manifest]:
    """All objects of one kind, in these namespaces; in all namespaces if none is given."""
    found: list[Manifest] = []
    for namespace in namespaces or (None,):
        try:
            found += [item async for item in _pages(connection, resource, namespace)]
        except NotFound:
            return []
    return found


async def _pages(
    connection: Connection, resource: Resource, namespace: str | None
) -> AsyncIterator[Manifest]:
    query = {"limit": _PAGE}
    while True:
        answer = await connection.send(Request("GET", resource.collection(namespace), query=query))
        for item in answer["items"]:
            yield {**item, "kind": resource.kind}
        following = (answer.get("metadata") or {}).get("continue")
        if not following:
            return
        query = {"limit": _PAGE, "continue": following}
