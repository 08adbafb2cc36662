"""The commands against a Kubernetes API, run by kubectl as a plugin."""

import json
import os
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e_support.kubectl import BINARY, Kubectl, eventually
from e2e_support.sandbox import AIAPI, running_sandbox
from engine_support.live import ROOT

NOT_FOUND = 5
KNOWN = ("EventLoop", "Floor")
"""The binding constraints of a fleet of one idle worker with known load."""
CRDS = ROOT / "crds"
SCALED_OBJECTS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "scaledobjects.keda.sh"},
    "spec": {
        "group": "keda.sh",
        "names": {"kind": "ScaledObject", "plural": "scaledobjects", "singular": "scaledobject"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1alpha1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": True,
                    }
                },
            }
        ],
    },
}


class Plugin:
    """Runs ``aiapi``, or ``kubectl aiapi``, against the sandbox."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.console_port = listener.getsockname()[1]
        self.kubectl = Kubectl(kubeconfig=kubeconfig, namespace="default")

    def run(self, *words: str, program: tuple[str, ...] = (str(AIAPI),)) -> Any:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            [*program, *words],
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig), "PATH": path},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def __call__(self, *words: str) -> str:
        done = self.run(*words)
        assert done.returncode == 0, done.stderr + done.stdout
        return str(done.stdout)

    def through_kubectl(self, *words: str) -> Any:
        return self.run("aiapi", *words, program=(BINARY,))


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plugin]:
    image = f"example/assistant={ROOT / 'examples'}"
    with running_sandbox(tmp_path_factory.mktemp("sandbox"), images=[image]) as kubeconfig:
        yield Plugin(kubeconfig)


@pytest.fixture(scope="module")
def decided(plugin: Plugin) -> Iterator[str]:
    """An AIApi with a running operator that has taken decisions."""
    plugin.kubectl("apply", "--server-side", "-f", str(CRDS))
    plugin.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(SCALED_OBJECTS))
    plugin.kubectl(
        "apply",
        "-f",
        "-",
        stdin=yaml.safe_dump(
            {
                "apiVersion": "aiapi.dev/v1alpha1",
                "kind": "AIApi",
                "metadata": {"name": "assistant"},
                "spec": {
                    "image": "example/assistant",
                    "app": "assistant.llm:app",
                    "replicas": {"min": 1, "max": 3},
                    "scaling": {"interval": "1s"},
                },
            }
        ),
    )
    scaled = {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": "old"},
        "spec": {"scaleTargetRef": {"name": "assistant"}},
    }
    eventually(
        lambda: (
            plugin.kubectl.run("apply", "-f", "-", stdin=yaml.safe_dump(scaled)).returncode == 0
        ),
        within=20,
        what="the ScaledObject exists",
    )
    operator = subprocess.Popen(
        [
            *(sys.executable, "-m", "aiapi_operator", "--kubeconfig", str(plugin.kubeconfig)),
            *("--host", "127.0.0.1", "--port", "0"),
            *("--console", "--console-port", str(plugin.console_port)),
        ],
        stderr=subprocess.DEVNULL,
    )
    try:

        def has_decided() -> bool:
            status = plugin.kubectl.json("aiapi", "assistant").get("status", {})
            ready = {c["type"]: c["status"] for c in status.get("conditions", ())}.get("Ready")
            return ready == "True" and status.get("need", {}).get("binding") in KNOWN

        eventually(has_decided, within=60, what="the operator has decided")
        yield "assistant"
    finally:
        operator.terminate()
        operator.wait(timeout=30)


def test_a_missing_crd_is_reported(plugin: Plugin) -> None:
    done = plugin.run("top")
    assert done.returncode == NOT_FOUND
    assert "the CustomResourceDefinition of AIApi is not installed" in done.stderr
    done = plugin.run("doctor")
    assert done.returncode == 1
    assert "aiapis.aiapi.dev is not installed" in done.stdout


def test_kubectl_finds_the_plugin_and_its_exit_codes(plugin: Plugin, decided: str) -> None:
    done = plugin.through_kubectl("top", "-A")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("NAMESPACE  NAME")
    assert done.stdout.splitlines()[1].split()[:2] == ["default", decided]
    assert "\x1b[" not in done.stdout
    done = plugin.through_kubectl("explain", "asistant")
    assert done.returncode == NOT_FOUND
    assert "Did you mean assistant?" in done.stderr
    assert "Usage: kubectl aiapi" in plugin.through_kubectl("--help").stdout


def test_explain_has_the_events_of_the_cluster(plugin: Plugin, decided: str) -> None:
    text = plugin("explain", decided)
    assert re.search(r"What binds\n  (EventLoop: event-loop time|Floor: the floor)", text)
    assert "Ready" in text
    document = json.loads(plugin("explain", decided, "-o", "json"))
    assert document["decision"]["replicas"] == 1
    assert "Ready" in [event["reason"] for event in document["events"]]


def test_another_autoscaler_is_detected_and_left_alone(plugin: Plugin, decided: str) -> None:
    document = json.loads(plugin("explain", decided, "-o", "json"))
    (problem,) = [p for p in document["problems"] if p["type"] == "ForeignAutoscaler"]
    assert problem["reason"] == "ScaledObject"
    assert "kubectl delete -n default scaledobject old" in problem["message"]
    plugin.kubectl("scale", "deployment", decided, "--replicas", "2")

    def grown() -> bool:
        status = plugin.kubectl.json("aiapi", decided)["status"]
        return status["replicas"] == 2 and status["decision"]["replicas"] == 2

    eventually(grown, within=30, what="the size set by the other autoscaler is kept")


def test_the_doctor_shows_the_leader_and_the_problems(plugin: Plugin, decided: str) -> None:
    done = plugin.run("doctor", "-o", "json")
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert done.returncode == 1
    assert checks["CRD"]["result"] == "ok"
    assert "leader: " in checks["Operator"]["message"]
    assert checks["Permissions"]["result"] == "ok"
    assert "ForeignAutoscaler" in checks[f"default/{decided}"]["message"]


def test_mode_commands_change_the_mode_and_nothing_on_a_dry_run(
    plugin: Plugin, decided: str
) -> None:
    def mode() -> str:
        return str(plugin.kubectl.json("aiapi", decided)["spec"]["scaling"]["mode"])

    assert "dry run" in plugin("pause", decided, "--dry-run")
    assert mode() == "Auto"
    assert "mode changed from Auto to Paused" in plugin("pause", decided)
    assert mode() == "Paused"
    assert json.loads(plugin("recommend", decided, "-o", "json"))["before"] == "Paused"
    assert "mode changed from Recommend to Auto" in plugin("resume", decided)
    assert "already Auto" in plugin("resume", decided)
    managers = [
        entry["manager"]
        for entry in plugin.kubectl.json("aiapi", decided, "--show-managed-fields")["metadata"][
            "managedFields"
        ]
    ]
    assert "kubectl-aiapi" in managers


def test_manifests_are_what_the_operator_applied(plugin: Plugin, decided: str) -> None:
    children = list(yaml.safe_load_all(plugin("manifest", decided)))
    for child in children:
        metadata = child["metadata"]
        assert metadata["ownerReferences"][0]["name"] == decided
        there = plugin.kubectl.json(child["kind"], metadata["name"])
        assert there["metadata"]["labels"].items() >= metadata["labels"].items()
    (deployment,) = [child for child in children if child["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "example/assistant"


def test_names_are_completed_from_the_cluster(plugin: Plugin, decided: str) -> None:
    code = "import sys; from aiapi_operator.cli import complete_for_kubectl as c; c()"
    done = plugin.run("explain", "as", program=(sys.executable, "-c", code))
    assert done.stdout.splitlines() == [decided, ":4"]


def test_the_console_shows_the_decisions(plugin: Plugin, decided: str) -> None:
    def page(path: str) -> str:
        address = f"http://127.0.0.1:{plugin.console_port}{path}"
        with urllib.request.urlopen(address, timeout=10) as answer:
            return str(answer.read().decode())

    assert f'href="/aiapis/default/{decided}"' in page("/")
    text = page(f"/aiapis/default/{decided}")
    assert "Demand and capacity" in text
    assert "ForeignAutoscaler" in text
    assert "on standby" not in text
