"""All watches of children and pods: one task for each resource and namespace."""

import asyncio
from collections.abc import Sequence

from aiapi_operator.cluster.connection import Connection
from aiapi_operator.cluster.resources import CHILDREN, PODS
from aiapi_operator.cluster.watch import ListWatch, Sink


class Watches:
    """Owns the tasks."""

    def __init__(self, connection: Connection, namespaces: Sequence[str], sink: Sink) -> None:
        self._watches = [
            ListWatch(connection, resource, namespace, sink)
            for resource in (*CHILDREN, PODS)
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
