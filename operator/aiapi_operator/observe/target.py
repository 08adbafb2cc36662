"""The address of a pod's admin port."""

from ssl import SSLContext

import msgspec

from aiapi_operator.observe.tls import PodTls

ADMIN_PORT = 9000


class ScrapeTarget(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One running pod. ``ready`` is the pod's readiness according to Kubernetes."""

    pod: str
    address: str
    ready: bool
    port: int = ADMIN_PORT
    tls: PodTls | None = None
    """What verifies the pod; None where it serves plain HTTP."""

    @property
    def ssl_context(self) -> SSLContext | None:
        """The context of a connection; None for plain HTTP."""
        return self.tls.context if self.tls is not None else None

    @property
    def server_hostname(self) -> str | None:
        """The name that the pod's certificate must have; None for plain HTTP."""
        return self.tls.server_hostname if self.tls is not None else None

    @property
    def host(self) -> str:
        """The address with the port; IPv6 addresses go in brackets."""
        return f"{bracketed(self.address)}:{self.port}"

    def url(self, path: str) -> str:
        """The URL of a path on the admin port."""
        return f"{'http' if self.tls is None else 'https'}://{self.host}{path}"


def bracketed(address: str) -> str:
    """An address as a URL has it: IPv6 in brackets."""
    return f"[{address}]" if ":" in address else address
