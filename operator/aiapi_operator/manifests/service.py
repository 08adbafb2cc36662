"""The Service: exposes the AIApi on port 80. It does not expose the admin port."""

from typing import Any

from aiapi_operator.api import AIApi
from aiapi_operator.manifests.labels import selector
from aiapi_operator.manifests.owner import child_metadata
from aiapi_operator.manifests.ports import HTTP


def build(aiapi: AIApi) -> dict[str, Any]:
    """The Service."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": child_metadata(aiapi, aiapi.name),
        "spec": {
            "type": "ClusterIP",
            "selector": selector(aiapi.name),
            "ports": [
                {
                    "name": HTTP.name,
                    "port": 80,
                    "protocol": "TCP",
                    "targetPort": HTTP.name,
                    "appProtocol": "http",
                }
            ],
        },
    }
