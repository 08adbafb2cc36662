"""The example assistant and its fake LLM in a test's namespace."""

import json
from typing import Any

from e2e_support.cluster import Cluster
from e2e_support.kubectl import eventually
from e2e_support.load import RESTRICTED, run_pod

LLM_PORT = 8000
SET_LATENCY = """
import os, urllib.request
request = urllib.request.Request(
    os.environ["URL"], data=os.environ["BODY"].encode(), method="PUT",
    headers={"content-type": "application/json"})
print(urllib.request.urlopen(request, timeout=10).status)
"""


def deploy_llm(cluster: Cluster) -> str:
    """Start one pod with one worker, so that latency is one number. Returns its address."""
    labels = {"app": "llm"}
    container = {
        "name": "llm",
        "image": cluster.image,
        "command": ["aiapi-serve"],
        "args": ["assistant.llm:app", "--workers", "1"],
        "readinessProbe": {"tcpSocket": {"port": LLM_PORT}, "periodSeconds": 1},
        "securityContext": RESTRICTED,
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "llm"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"automountServiceAccountToken": False, "containers": [container]},
            },
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "llm"},
        "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": LLM_PORT}]},
    }
    for body in (deployment, service):
        cluster.kubectl("apply", "-f", "-", stdin=json.dumps(body))
    cluster.kubectl("rollout", "status", "deployment/llm", "--timeout=60s", timeout=70)
    return cluster.service_address("llm")


def set_llm_latency(cluster: Cluster, *, seconds: float) -> None:
    """Run inside the cluster, because the test may not reach the Service."""
    name = f"latency-{int(seconds * 1000)}"
    url = f"{cluster.service_address('llm')}/latency"
    body = json.dumps({"seconds": seconds, "jitter": 0.1})
    run_pod(cluster, name, ["python", "-c", SET_LATENCY], URL=url, BODY=body)
    eventually(
        lambda: cluster.kubectl.json("pod", name)["status"].get("phase") == "Succeeded",
        within=60,
        what="the LLM's latency is changed",
    )


def deploy_assistant(cluster: Cluster, name: str, llm: str, **spec: Any) -> None:
    """An AIApi of the assistant; each request blocks the loop for 8 ms."""
    wanted: dict[str, Any] = {
        "app": "assistant.main:app",
        "env": [{"name": "LLM_URL", "value": llm}],
        "workers": {"min": 1, "max": 4, "cpu": "100m", "memory": "128Mi"},
        "replicas": {"min": 2, "max": 4},
        "scaling": {"scaleDown": {"workersAfter": "10s", "replicasAfter": "20s"}},
    }
    cluster.apply(name, **{**wanted, **spec})
    cluster.wait_ready(name)
