"""The EndpointSlice that leads the Service to the activators.

It is one more slice of the Service; those of its selector stay with Kubernetes. Its ``managed-by``
label keeps Kubernetes' own controllers from changing it. Endpoints are ready only while the
activators are, because some proxies take a missing condition for not ready.
"""

from collections.abc import Sequence
from typing import Any

from aiapi_operator.api import AIApi
from aiapi_operator.manifests.owner import child_metadata
from aiapi_operator.manifests.ports import HTTP


def name(aiapi: AIApi) -> str:
    """The name of the slice."""
    return f"{aiapi.name}-activator"


def build(aiapi: AIApi, addresses: Sequence[str], port: int) -> dict[str, Any]:
    """The slice with the activators' ``addresses``, which are of one family."""
    metadata = child_metadata(aiapi, name(aiapi))
    metadata["labels"] = {
        **metadata.get("labels", {}),
        "kubernetes.io/service-name": aiapi.name,
        "endpointslice.kubernetes.io/managed-by": "aiapi-operator",
    }
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": metadata,
        "addressType": "IPv6" if any(":" in each for each in addresses) else "IPv4",
        "ports": [{"name": HTTP.name, "port": port, "protocol": "TCP", "appProtocol": "http"}],
        "endpoints": [
            {"addresses": [each], "conditions": {"ready": True}} for each in sorted(addresses)
        ],
    }
