"""The requests of the ring: the Leases of the shards, and the labels of AIApis."""

from collections.abc import Mapping
from datetime import UTC, datetime

from aiapi_operator.cluster.apply import list_labelled
from aiapi_operator.cluster.connection import MERGE, Connection, Request
from aiapi_operator.cluster.errors import Conflict, NotFound
from aiapi_operator.cluster.lease import DURATION
from aiapi_operator.cluster.resources import AIAPIS, FIELD_MANAGER, LEASES, Manifest
from aiapi_operator.manifests.labels import SHARD_LABEL

RING_LABEL = "aiapi.dev/ring"
"""On the Lease of a shard: the name of the ring Lease."""
_DEADLINE = 4.0


def lease_labels(ring: str, shard: int) -> dict[str, str]:
    """The labels of a shard's Lease."""
    return {RING_LABEL: ring, SHARD_LABEL: str(shard)}


def lease_name(ring: str, shard: int) -> str:
    """The name of a shard's Lease."""
    return f"{ring}-shard-{shard}"


async def relabel(
    connection: Connection, manifest: Manifest, labels: Mapping[str, str | None]
) -> None:
    """Set labels of an AIApi, or remove those that are None.

    Raises ``Conflict`` when the AIApi has another version than ``manifest``, or is another one.
    """
    metadata = manifest["metadata"]
    kept = {key: metadata[key] for key in ("uid", "resourceVersion")}
    await connection.send(
        Request(
            *("PATCH", AIAPIS.path(metadata["namespace"], metadata["name"])),
            query={"fieldManager": FIELD_MANAGER},
            body={"metadata": {**kept, "labels": dict(labels)}},
            content_type=MERGE,
            deadline=_DEADLINE,
        )
    )


class Labels:
    """The labels of AIApis."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def relabel(self, manifest: Manifest, labels: Mapping[str, str | None]) -> None:
        """Set labels, or remove those that are None, if this is still the object's version."""
        await relabel(self._connection, manifest, labels)


class ShardLeases:
    """The Leases of one ring."""

    def __init__(self, connection: Connection, namespace: str, ring: str) -> None:
        self._connection = connection
        self._namespace = namespace
        self._ring = ring

    async def read(self) -> dict[int, Manifest]:
        """The Leases by shard."""
        selector = f"{RING_LABEL}={self._ring}"
        found = await list_labelled(self._connection, LEASES, self._namespace, selector)
        shards = ((each["metadata"]["labels"].get(SHARD_LABEL, ""), each) for each in found)
        return {int(text): lease for text, lease in shards if text.isascii() and text.isdigit()}

    async def take(self, lease: Manifest, identity: str) -> bool:
        """Hold a Lease for its duration, if it has not changed since it was read."""
        spec = {
            **(lease.get("spec") or {}),
            "holderIdentity": identity,
            "leaseDurationSeconds": DURATION,
            "renewTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
        path = LEASES.path(self._namespace, lease["metadata"]["name"])
        body = {**lease, "spec": spec}
        try:
            await self._connection.send(Request("PUT", path, body=body, deadline=_DEADLINE))
        except (Conflict, NotFound):
            return False
        return True
