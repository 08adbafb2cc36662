"""Adopting a Deployment under load: traffic moves to the AIApi and back, with no lost request."""

import json
import os
import subprocess
from typing import Any

import pytest
from e2e_support.cluster import Cluster
from e2e_support.kubectl import Kubectl, eventually
from e2e_support.load import RESTRICTED, start_load
from e2e_support.sandbox import AIAPI

OLD = {"app": "chat"}
BOTH = {"aiapi.dev/traffic": "chat"}
NEW = {"aiapi.dev/name": "chat-aiapi"}


def deploy_chat(cluster: Cluster) -> None:
    """Two pods of plain Uvicorn behind a Service, as an ordinary chart has them."""
    container: dict[str, Any] = {
        "name": "chat",
        "image": cluster.image,
        "command": ["uvicorn", "assistant.llm:app", "--host", "$(POD_IP)", "--port", "8000"],
        "args": ["--timeout-keep-alive", "75", "--no-access-log"],
        "env": [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
        "ports": [{"name": "http", "containerPort": 8000}],
        "readinessProbe": {"httpGet": {"path": "/latency", "port": "http"}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
        "securityContext": RESTRICTED,
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "chat"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": OLD},
            "template": {
                "metadata": {"labels": OLD},
                "spec": {"automountServiceAccountToken": False, "containers": [container]},
            },
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "chat"},
        "spec": {"selector": OLD, "ports": [{"port": 80, "targetPort": "http"}]},
    }
    for body in (deployment, service):
        cluster.kubectl("apply", "-f", "-", stdin=json.dumps(body))
    cluster.kubectl("rollout", "status", "deployment/chat", "--timeout=60s", timeout=70)


def aiapi(kubectl: Kubectl, *words: str) -> str:
    done = subprocess.run(
        [AIAPI, *words, "-n", kubectl.namespace],
        env={**os.environ, "KUBECONFIG": str(kubectl.kubeconfig)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def select(cluster: Cluster, selector: dict[str, str]) -> None:
    """Replace the selector of the Service in one write."""
    wanted = [{"op": "replace", "path": "/spec/selector", "value": selector}]
    cluster.kubectl("patch", "service/chat", "--type=json", "-p", json.dumps(wanted))


def endpoints(cluster: Cluster) -> set[str]:
    """The pods to which the Service sends new connections."""
    slices = cluster.kubectl.json("endpointslices", "-l", "kubernetes.io/service-name=chat")
    return {
        endpoint["targetRef"]["name"]
        for each in slices["items"]
        for endpoint in each.get("endpoints") or ()
        if endpoint["conditions"]["ready"]
    }


def pods(cluster: Cluster, selector: dict[str, str]) -> set[str]:
    text = ",".join(f"{key}={value}" for key, value in selector.items())
    return {pod["metadata"]["name"] for pod in cluster.kubectl.json("pods", "-l", text)["items"]}


def wait_selected(cluster: Cluster, *selectors: dict[str, str]) -> None:
    wanted = set().union(*(pods(cluster, selector) for selector in selectors))
    eventually(
        lambda: endpoints(cluster) == wanted, within=30, what=f"the Service has {sorted(wanted)}"
    )


def is_loaded(cluster: Cluster) -> bool:
    rate = cluster.status("chat-aiapi").get("load", {}).get("requestsPerSecond", "0")
    return float(rate) > 5


@pytest.mark.long_adopt
@pytest.mark.timeout(300)
def test_traffic_moves_to_the_aiapi_and_back_without_a_lost_request(cluster: Cluster) -> None:
    deploy_chat(cluster)
    load = start_load(
        cluster, service="chat", rate=40, seconds=140, path="/v1/chat/completions"
    )  # fmt: skip
    load.wait_started()

    said = aiapi(cluster.kubectl, "adopt", "deployment/chat", "--apply", "--mode", "Recommend")
    assert "aiapi/chat-aiapi: applied in mode Recommend; Deployment chat is unchanged" in said
    cluster.wait_ready("chat-aiapi")
    assert endpoints(cluster) == pods(cluster, OLD), "the new pods must get no traffic yet"

    cluster.kubectl("label", "pods", "-l", "app=chat", "aiapi.dev/traffic=chat")
    select(cluster, BOTH)
    wait_selected(cluster, OLD, NEW)
    eventually(lambda: is_loaded(cluster), within=40, what="the AIApi serves a part")
    aiapi(cluster.kubectl, "resume", "chat-aiapi")

    select(cluster, NEW)
    wait_selected(cluster, NEW)
    # Numbers that differ by no more than chance are written once a minute.
    eventually(
        lambda: float(cluster.status("chat-aiapi")["load"]["requestsPerSecond"]) > 30,
        within=75,
        what="the AIApi serves everything",
    )

    select(cluster, BOTH)
    wait_selected(cluster, OLD, NEW)
    select(cluster, OLD)
    wait_selected(cluster, OLD)
    sent = load.wait(within=190)
    assert sent.requests > 3000
    assert sent.failed == 0
