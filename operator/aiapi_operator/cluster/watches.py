"""All watches of children and pods: one task for each resource and namespace."""

import asyncio
from collections.abc import Sequence

from aiapi_operator.cluster.connection import Connection
from aiapi_operator.cluster.resources import (
    CHILDREN,
    ENDPOINT_SLICES,
    MANAGED_BY_SELECTOR,
    PODS,
    SLICE_SELECTOR,
)
from aiapi_operator.cluster.watch import ListWatch, Sink


class Watches:
    """Owns the tasks."""

    def __init__(
        self,
        connection: Connection,
        namespaces: Sequence[str],
        sink: Sink,
        *,
        activators: bool = False,
    ) -> None:
        """``activators``: whether there are EndpointSlices that lead to them."""
        wanted = [(resource, MANAGED_BY_SELECTOR) for resource in (*CHILDREN, PODS)]
        if activators:
            wanted.append((ENDPOINT_SLICES, SLICE_SELECTOR))
        self._watches = [
            ListWatch(connection, resource, namespace, sink, selector=selector)
            for resource, selector in wanted
            for namespace in namespaces or (None,)
        ]

    async def run(self) -> None:
        """Watch until cancelled. Raises when a watch fails because of a defect."""
        async with asyncio.TaskGroup() as group:
            for watch in self._watches:
                group.create_task(watch.run())

    async def listed(self) -> None:
        """Wait until every existing object was delivered."""
        for watch in self._watches:
            await watch.listed.wait()

    def waiting_for(self) -> str:
        """Which objects are not known yet, and why; empty once all are."""
        return next((watch.problem for watch in self._watches if watch.problem), "")
