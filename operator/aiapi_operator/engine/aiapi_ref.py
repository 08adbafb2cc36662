"""Identifies one AIApi, for requests, log lines and checks that it still exists."""

from dataclasses import dataclass
from typing import Self

from aiapi_operator.cluster.resources import Manifest
from aiapi_operator.engine.cache import Key


@dataclass(frozen=True, slots=True)
class AIApiRef:
    """Namespace, name and uid. The uid differs from an earlier AIApi of the same name."""

    namespace: str
    name: str
    uid: str

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        """The reference to an AIApi."""
        metadata = manifest["metadata"]
        return cls(metadata["namespace"], metadata["name"], str(metadata["uid"]))

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return self.namespace, self.name

    def log_fields(self, **more: str) -> dict[str, str]:
        """Fields that identify the AIApi in a log line."""
        return {"namespace": self.namespace, "aiapi": self.name, **more}
