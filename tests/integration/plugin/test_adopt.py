"""Adopting Deployments in a cluster: real kubectl, the CRD, and server-side apply."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e_support.kubectl import Kubectl, eventually
from e2e_support.sandbox import AIAPI, running_sandbox
from engine_support.live import ROOT

from aiapi_operator.api import AIApiSpec

FILES = sorted((ROOT / "tests" / "data" / "adopt").glob("*.yaml"))
IN_CLUSTER = ("Deployment", "Service", "PodDisruptionBudget")
"""The sandbox has no autoscalers."""


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    folder = tmp_path_factory.mktemp("sandbox")
    image = f"example/assistant={ROOT / 'examples'}"
    with running_sandbox(folder, images=[image]) as kubeconfig:
        found = Kubectl(kubeconfig=kubeconfig, namespace="default")
        found("apply", "--server-side", "-f", str(ROOT / "crds"))
        eventually(
            lambda: found.run("get", "aiapis").returncode == 0, within=20, what="AIApis are served"
        )
        yield found


def aiapi(kubectl: Kubectl, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [AIAPI, *words, "--kubeconfig", str(kubectl.kubeconfig)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def deployment_name(path: Path) -> str:
    objects = yaml.safe_load_all(path.read_text())
    return str(next(each for each in objects if each["kind"] == "Deployment")["metadata"]["name"])


def without_runtime(text: str) -> str:
    """The document without spec.runtime where the CRD does not have it."""
    found = yaml.safe_load(text)
    if "runtime" not in AIApiSpec.model_fields:
        found["spec"].pop("runtime", None)
    return json.dumps(found)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_api_server_accepts_the_aiapi_of_each_deployment(kubectl: Kubectl, path: Path) -> None:
    done = aiapi(kubectl, "adopt", f"deployment/{deployment_name(path)}", "-f", str(path))
    assert done.returncode == 0, done.stderr
    text = without_runtime(done.stdout)
    kubectl("apply", "--server-side", "--validate=strict", "-f", "-", stdin=text)
    wanted, stored = json.loads(text), kubectl.json("aiapi", json.loads(text)["metadata"]["name"])
    pod = stored["spec"]["podTemplate"]["spec"]
    assert pod["securityContext"] == wanted["spec"]["podTemplate"]["spec"]["securityContext"]


def apply_all(kubectl: Kubectl, path: Path) -> None:
    for each in yaml.safe_load_all(path.read_text()):
        if each["kind"] in IN_CLUSTER:
            for name in ("uid", "resourceVersion", "creationTimestamp", "generation"):
                each["metadata"].pop(name, None)
            each.pop("status", None)
            kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(each))


def test_objects_of_the_cluster_are_read_and_the_aiapi_is_applied(kubectl: Kubectl) -> None:
    path = next(each for each in FILES if each.stem == "uvicorn-hpa-cpu")
    apply_all(kubectl, path)
    before = kubectl.json("deployment", "chat")
    printed = aiapi(kubectl, "adopt", "deployment/chat", "-n", "default")
    assert "PodDisruptionBudget chat" in printed.stdout
    assert "Service chat" in printed.stdout
    tried = aiapi(kubectl, "adopt", "deployment/chat", "--name", "tried", "--apply", "--dry-run")
    assert "aiapi/tried: applied in mode Recommend (dry run)" in tried.stdout, tried.stderr
    assert not kubectl.exists("aiapi", "tried")
    done = aiapi(kubectl, "adopt", "deployment/chat", "--name", "applied", "--apply")
    assert done.returncode == 0, done.stderr
    stored: dict[str, Any] = kubectl.json("aiapi", "applied", "--show-managed-fields")
    assert stored["spec"]["scaling"]["mode"] == "Recommend"
    managers = {each["manager"] for each in stored["metadata"]["managedFields"]}
    assert managers == {"kubectl-aiapi"}
    assert (
        kubectl.json("deployment", "chat")["metadata"]["generation"]
        == (before["metadata"]["generation"])
    )


def test_fields_of_another_manager_are_not_taken_over(kubectl: Kubectl) -> None:
    path = next(each for each in FILES if each.stem == "uvicorn-hpa-cpu")
    apply_all(kubectl, path)
    owned = {
        "apiVersion": "aiapi.dev/v1alpha1",
        "kind": "AIApi",
        "metadata": {"name": "owned"},
        "spec": {"image": "registry.example.com/other:1", "app": "other:app"},
    }
    kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(owned))
    done = aiapi(kubectl, "adopt", "deployment/chat", "--name", "owned", "--apply")
    assert done.returncode == 1
    assert "rejected by the API server" in done.stderr
    assert "spec.image" in done.stderr
    assert kubectl.json("aiapi", "owned")["spec"]["app"] == "other:app"


def test_a_missing_deployment_is_named(kubectl: Kubectl) -> None:
    done = aiapi(kubectl, "adopt", "deployment/nothing", "-n", "kube-system")
    assert done.returncode == 5
    assert "Deployment 'nothing' not found in namespace kube-system" in done.stderr
