"""How the demo reads a pod's admin port, as its own client besides the operator."""

import base64
import ssl
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from yarl import URL

ADMIN_PORT = 9000


@dataclass(frozen=True, kw_only=True)
class AdminPort:
    """The token of an AIApi's pods, and what verifies them if they serve TLS."""

    token: str
    trusted: str = ""
    """CA certificates; empty for plain HTTP."""
    server_hostname: str = ""

    @classmethod
    def of(cls, secret: dict[str, Any], name: str) -> "AdminPort":
        """From the AIApi's Secret."""
        data = {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
        namespace = secret["metadata"]["namespace"]
        return cls(
            token=data["token"],
            trusted=data.get("ca.crt", ""),
            server_hostname=f"{name}.{namespace}.aiapi.dev",
        )

    @cached_property
    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self.trusted)
        return context

    def url(self, address: str, path: str) -> URL:
        """The URL of a path in a pod."""
        scheme = "https" if self.trusted else "http"
        return URL.build(scheme=scheme, host=address, port=ADMIN_PORT, path=path)

    def options(self) -> dict[str, Any]:
        """Options of an aiohttp request."""
        options: dict[str, Any] = {"headers": {"Authorization": f"Bearer {self.token}"}}
        if self.trusted:
            options |= {"ssl": self._context, "server_hostname": self.server_hostname}
        return options
