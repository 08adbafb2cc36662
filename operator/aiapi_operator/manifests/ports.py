"""The two ports of a pod: requests come to one, the operator and the kubelet to the other."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Port:
    """A container port."""

    name: str
    number: int

    def manifest(self) -> dict[str, Any]:
        """As in a container's ``ports``."""
        return {"name": self.name, "containerPort": self.number, "protocol": "TCP"}


HTTP = Port("http", 8000)
ADMIN = Port("admin", 9000)
