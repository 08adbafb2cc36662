"""Groups of watches: one task for each resource and namespace."""

import asyncio
from collections.abc import Sequence
from typing import Self

from aiapi_operator.cluster.connection import Connection
from aiapi_operator.cluster.resources import (
    AIAPIS,
    CHILDREN,
    ENDPOINT_SLICES,
    MANAGED_BY_SELECTOR,
    PODS,
    SLICE_SELECTOR,
)
from aiapi_operator.cluster.watch import MANAGED, METADATA_OF_ALL, ListWatch, Sink, Which
from aiapi_operator.manifests.labels import SHARD_LABEL


class Watches:
    """Owns the tasks."""

    def __init__(self, watches: Sequence[ListWatch]) -> None:
        self._watches = watches

    @classmethod
    def of_children(
        cls,
        connection: Connection,
        namespaces: Sequence[str],
        sink: Sink,
        *,
        activators: bool = False,
        shard: int | None = None,
    ) -> Self:
        """The children of a shard's AIApis, and the pods of all AIApis, which have no shard.

        ``activators``: whether there are EndpointSlices that lead to them.
        """
        of_shard = "" if shard is None else f",{SHARD_LABEL}={shard}"
        children = Which(MANAGED_BY_SELECTOR + of_shard)
        wanted = [*((each, children) for each in CHILDREN), (PODS, MANAGED)]
        if activators:
            wanted.append((ENDPOINT_SLICES, Which(SLICE_SELECTOR + of_shard)))
        return cls(
            [
                ListWatch(connection, resource, namespace, sink, which)
                for resource, which in wanted
                for namespace in namespaces or (None,)
            ]
        )

    @classmethod
    def of_aiapis(cls, connection: Connection, namespaces: Sequence[str], sink: Sink) -> Self:
        """The metadata of all AIApis."""
        return cls(
            [
                ListWatch(connection, AIAPIS, namespace, sink, METADATA_OF_ALL)
                for namespace in namespaces or (None,)
            ]
        )

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
