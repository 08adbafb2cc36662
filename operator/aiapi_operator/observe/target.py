"""The address of a pod's admin port."""

from dataclasses import dataclass

ADMIN_PORT = 9000


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrapeTarget:
    """One running pod. ``ready`` is the pod's readiness according to Kubernetes."""

    pod: str
    address: str
    ready: bool
    port: int = ADMIN_PORT

    def url(self, path: str) -> str:
        """The URL of a path on the admin port; IPv6 addresses go in brackets."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"http://{host}:{self.port}{path}"
