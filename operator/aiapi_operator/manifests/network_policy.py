"""The NetworkPolicy: all peers may reach the HTTP port, the operator and activators the admin port.

Activators ask there whether a pod serves. Other namespaces can be admitted for Prometheus.
Everything but health and metrics requires the pod's token.
"""

from typing import Any

from aiapi_operator.api import AIApi
from aiapi_operator.manifests import mesh
from aiapi_operator.manifests.context import Context
from aiapi_operator.manifests.labels import ACTIVATOR_POD_LABELS, OPERATOR_POD_LABELS, selector
from aiapi_operator.manifests.owner import child_metadata
from aiapi_operator.manifests.ports import ADMIN, HTTP


def build(aiapi: AIApi, context: Context) -> dict[str, Any]:
    """The NetworkPolicy. Users' policies add to it."""
    own = [_pods(context, labels) for labels in (OPERATOR_POD_LABELS, ACTIVATOR_POD_LABELS)]
    scrapers = [{"namespaceSelector": {"matchLabels": dict(context.metrics_from)}}]
    admins = [*own, *(scrapers if context.metrics_from else [])]
    metrics = [_port(number) for number in mesh.metrics_ports(context.mesh)]
    requests = (HTTP.number, *mesh.proxy_ports(context.mesh))
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": child_metadata(aiapi, aiapi.name),
        "spec": {
            "podSelector": {"matchLabels": selector(aiapi.name)},
            "policyTypes": ["Ingress"],
            "ingress": [
                {"ports": [_port(number) for number in requests]},
                {"from": admins, "ports": [_port(ADMIN.number)]},
                *(
                    [{"from": scrapers, "ports": metrics}]
                    if metrics and context.metrics_from
                    else []
                ),
            ],
        },
    }


def _pods(context: Context, labels: dict[str, str]) -> dict[str, Any]:
    namespace = {"kubernetes.io/metadata.name": context.operator_namespace}
    return {
        "namespaceSelector": {"matchLabels": namespace},
        "podSelector": {"matchLabels": dict(labels)},
    }


def _port(number: int) -> dict[str, Any]:
    return {"protocol": "TCP", "port": number}
