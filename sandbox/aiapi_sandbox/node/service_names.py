"""Service names in URLs, resolved before a container starts. Pure.

On a cluster `http://llm:8080` is resolved by DNS. The sandbox has no network of its own to answer
such questions in, so the host of a URL in an environment value, command or argument is replaced by
the address that the Service has when the container starts.
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
    """The Services that a pod of `namespace` can name; `serving` tells of moved ports."""

    namespace: str
    addresses: Mapping[tuple[str, str], str]
    serving: Callable[[Address], Address]

    def __call__(self, text: str) -> str:
        return _HOST.sub(self._resolve, text)

    def _resolve(self, url: re.Match[str]) -> str:
        address = self.addresses.get((url["namespace"] or self.namespace, url["name"]))
        if address is None:
            return url.group(0)
        asked = int(url["port"]) if url["port"] else _DEFAULT_PORTS.get(url["scheme"])
        head = f"{url['scheme']}://{url['user'] or ''}"
        if asked is None:
            return f"{head}{address}"
        host, port = self.serving((address, asked))
        return f"{head}{host}:{port}"


def cluster_ips(services: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], str]:
    """Return {(namespace, name): address}, without headless Services."""
    return {
        (service["metadata"]["namespace"], service["metadata"]["name"]): address
        for service in services
        if (address := service["spec"].get("clusterIP", "")) not in ("", "None")
    }
