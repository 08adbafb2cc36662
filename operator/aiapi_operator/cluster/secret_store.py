"""One Secret, written only when nobody else has written it since it was read."""

from dataclasses import dataclass, field

from aiapi_operator.cluster.apply import get
from aiapi_operator.cluster.connection import Connection, Request
from aiapi_operator.cluster.resources import SECRETS, Manifest


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """The Secret as it was read."""

    manifest: Manifest = field(repr=False)

    @property
    def data(self) -> dict[str, str]:
        """Its data, encoded as in Kubernetes."""
        return self.manifest.get("data") or {}


class SecretStore:
    """Reads and writes one Secret."""

    def __init__(self, connection: Connection, namespace: str, name: str) -> None:
        self._connection = connection
        self._namespace = namespace
        self.name = name

    async def read(self) -> StoredSecret | None:
        """The Secret; None when it does not exist."""
        found = await get(self._connection, SECRETS, self._namespace, self.name)
        return None if found is None else StoredSecret(found)

    async def create(self, data: dict[str, str]) -> None:
        """Create the Secret. Raises ``Conflict`` when it exists."""
        body = {
            "apiVersion": SECRETS.api_version,
            "kind": SECRETS.kind,
            "metadata": {"name": self.name, "namespace": self._namespace},
            "type": "Opaque",
            "data": data,
        }
        path = SECRETS.collection(self._namespace)
        await self._connection.send(Request("POST", path, body=body))

    async def replace(self, stored: StoredSecret, data: dict[str, str]) -> None:
        """Replace the data. Raises ``Conflict`` when the Secret changed since it was read."""
        path = SECRETS.path(self._namespace, self.name)
        body = stored.manifest | {"data": data}
        await self._connection.send(Request("PUT", path, body=body))
