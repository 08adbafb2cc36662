"""What the chart's hook does, on a real API server without an operator."""

import copy
from pathlib import Path
from typing import Any

import yaml
from engine_support.live import ROOT, Cluster

from aiapi_operator.activator.wake_all import ENDPOINT_SLICES, wake_all
from aiapi_operator.cluster.connection import APPLY, MERGE, Request
from aiapi_operator.cluster.resources import AIAPIS, DEPLOYMENTS, SERVICES, Resource

CRDS = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition"
)


async def install_crd(cluster: Cluster) -> None:
    """The CRD, with a status that keeps the activation."""
    body = yaml.safe_load((ROOT / "crds" / "aiapis.aiapi.dev.yaml").read_text())
    schema = body["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    status = schema["properties"]["status"]["properties"]
    status.setdefault(
        "activation", {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    )
    path = f"{CRDS.collection(None)}/aiapis.aiapi.dev"
    query = {"fieldManager": "test", "force": "true"}
    await cluster.connection.send(
        Request("PATCH", path, query=query, body=body, content_type=APPLY)
    )


async def create(cluster: Cluster, resource: Resource, body: dict[str, Any]) -> None:
    body = {"apiVersion": resource.api_version, "kind": resource.kind, **copy.deepcopy(body)}
    await cluster.connection.send(Request("POST", resource.collection("default"), body=body))


async def asleep(cluster: Cluster, name: str, *command: str) -> None:
    """An AIApi at zero, with what the operator left."""
    labels = {
        "app.kubernetes.io/instance": name,
        "app.kubernetes.io/managed-by": "aiapi-operator",
        "aiapi.dev/name": name,
    }
    selector = {"aiapi.dev/name": name}
    container = {"name": "app", "image": "example/assistant", "command": list(command)}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
    }
    await cluster.create(name)
    meta = {"metadata": {"name": name, "namespace": "default"}}
    await create(
        cluster,
        DEPLOYMENTS,
        {
            **meta,
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": selector},
                "template": template,
            },
        },
    )
    port = {"name": "http", "port": 80, "targetPort": 8000}
    await create(cluster, SERVICES, {**meta, "spec": {"selector": selector, "ports": [port]}})
    slice_labels = {
        "kubernetes.io/service-name": name,
        "endpointslice.kubernetes.io/managed-by": "aiapi-operator",
    }
    await create(
        cluster,
        ENDPOINT_SLICES,
        {
            "metadata": {"name": f"{name}-activator", "labels": slice_labels},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 20001}],
            "endpoints": [{"addresses": ["127.64.200.1"], "conditions": {"ready": True}}],
        },
    )
    status = {"status": {"activation": {"phase": "Asleep", "wakeReplicas": 2}}}
    path = AIAPIS.path("default", name, "status")
    await cluster.connection.send(Request("PATCH", path, body=status, content_type=MERGE))


async def test_aiapis_at_zero_serve_by_their_pods_afterwards(
    cluster: Cluster, kubeconfig: Path
) -> None:
    await install_crd(cluster)
    await asleep(cluster, "good", "sleep", "600")
    await asleep(cluster, "bad", "no-such-program")
    lines: list[str] = []
    late = await wake_all(cluster.connection, within=15, report=lines.append)
    assert [each.name for each in late] == ["default/bad"], lines
    for name in ("good", "bad"):
        deployment = await cluster.get(DEPLOYMENTS, name)
        assert deployment is not None
        assert deployment["spec"]["replicas"] == 2
    assert await cluster.get(ENDPOINT_SLICES, "good-activator") is None
    assert await cluster.get(ENDPOINT_SLICES, "bad-activator") is not None
    assert "default/good: a pod is ready; its Service leads to pods only" in lines
