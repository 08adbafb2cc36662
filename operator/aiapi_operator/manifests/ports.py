"""The two ports of a pod: HTTP for requests, admin for the operator and the kubelet."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Port:
    """A container port."""

    name: str
    number: int

    def manifest(self) -> dict[str, Any]:
        """An entry of a container's ``ports``."""
        return {"name": self.name, "containerPort": self.number, "protocol": "TCP"}


HTTP = Port("http", 8000)
ADMIN = Port("admin", 9000)
