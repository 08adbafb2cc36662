"""Resolution of Service names in URLs when a container starts. Pure.

A cluster resolves `http://llm:8080` by DNS. The sandbox has no DNS, so it replaces the host of a
URL in an environment value, command or argument with the Service's address at container start.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Address = tuple[str, int]
_LABEL = "[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_HOST = re.compile(
    rf"(?P<scheme>https?|[a-z][a-z0-9+.-]*)://(?P<user>[^\s/@'\"]*@)?(?P<name>{_LABEL})"
    rf"(?:\.(?P<namespace>{_LABEL})(?:\.svc(?:\.cluster\.local)?)?)?"
    r"(?::(?P<port>\d{1,5}))?(?=[/?#,;\s'\"]|$)"
)
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, kw_only=True)
class ServiceNameResolver:
    """Resolves names for pods in `namespace`. `actual_address` maps moved ports."""

    namespace: str
    addresses: Mapping[tuple[str, str], str]
    actual_address: Callable[[Address], Address]

    def __call__(self, text: str) -> str:
        return _HOST.sub(self._resolve, text)

    def _resolve(self, url: re.Match[str]) -> str:
        address = self.addresses.get((url["namespace"] or self.namespace, url["name"]))
        if address is None:
            return url.group(0)
        port = int(url["port"]) if url["port"] else _DEFAULT_PORTS.get(url["scheme"])
        head = f"{url['scheme']}://{url['user'] or ''}"
        if port is None:
            return f"{head}{address}"
        host, port = self.actual_address((address, port))
        return f"{head}{host}:{port}"


def cluster_ips(services: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], str]:
    """Return {(namespace, name): cluster IP}, without headless Services."""
    return {
        (service["metadata"]["namespace"], service["metadata"]["name"]): address
        for service in services
        if (address := service["spec"].get("clusterIP", "")) not in ("", "None")
    }
