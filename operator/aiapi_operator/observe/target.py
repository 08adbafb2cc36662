"""A pod as the operator reaches it: by its own address, on the admin port."""

from dataclasses import dataclass

ADMIN_PORT = 9000


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrapeTarget:
    """One running pod. ``ready`` is what Kubernetes says, not what the pod says."""

    pod: str
    address: str
    ready: bool
    port: int = ADMIN_PORT

    def url(self, path: str) -> str:
        """The address of something on the admin port; IPv6 addresses go in brackets."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"http://{host}:{self.port}{path}"
