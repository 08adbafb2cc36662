"""Adopted Deployments become Ready and take over the traffic of their Services without a loss.

One sandbox runs all of them: the Deployments of tests/data/adopt, with stand-ins for their images.
"""

import json
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from adopt_support import images, needs
from adopt_support.images import SIDECAR, StandIn, asgi, factory, wsgi
from e2e_support.cluster import Cluster
from e2e_support.kubectl import Kubectl, eventually
from e2e_support.operator import Operator
from e2e_support.sandbox import running_sandbox
from engine_support.live import ROOT

from aiapi_operator.plugin.adopt import sources
from aiapi_operator.plugin.adopt.choices import Choices
from aiapi_operator.plugin.adopt.command import converted

FILES = sorted((ROOT / "tests" / "data" / "adopt").glob("*.yaml"))
RUNNABLE = ("Deployment", "Service", "PodDisruptionBudget")
"""The sandbox has no autoscalers."""
REGISTRY = "registry.example.com"
DIGEST = "sha256:4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865"
IMAGES = {
    f"{REGISTRY}/chat:3.1": StandIn(files={"chat/main.py": asgi("app")}),
    f"{REGISTRY}/retriever@{DIGEST}": StandIn(files={"retriever/asgi.py": asgi("application")}),
    f"{REGISTRY}/tickets:5": StandIn(files={"code/app/main.py": asgi("app")}),
    f"{REGISTRY}/search:0.9": StandIn(files={"search/app.py": asgi("api")}),
    f"{REGISTRY}/embeddings:2": StandIn(
        files={"embeddings/api.py": factory("create_app")}, venv="app/.venv"
    ),
    f"{REGISTRY}/agent:11": StandIn(files={"agent/api/main.py": asgi("app")}),
    f"{REGISTRY}/gateway:7": StandIn(files={"srv/gateway/main.py": asgi("app"), "build-id": "7"}),
    f"{REGISTRY}/rag:1.2": StandIn(
        files={
            "rag/app.py": asgi("app"),
            "docker-entrypoint.sh": '#!/bin/sh\nexport READY=1\nexec "$@"\n',
            "yaml.py": "from json import loads as safe_load\n",
        }
    ),
    f"{REGISTRY}/tools:4": StandIn(files={"tools/server.py": asgi("app")}),
    f"{REGISTRY}/desk:8": StandIn(files={"desk/wsgi.py": wsgi("application")}),
    f"{REGISTRY}/sql-proxy:2": SIDECAR,
    f"{REGISTRY}/nginx:1.29": SIDECAR,
    f"{REGISTRY}/tunnel:1": SIDECAR,
}
TEXTS = {"logging.yaml": '{"version": 1, "disable_existing_loggers": false}', "keep-alive": "75"}
NODE = {"labels": {"accelerator": "l4"}, "resources": {"nvidia.com/gpu": "8"}}


@dataclass(kw_only=True)
class Traffic:
    """Requests to one Service, each on a new connection, until it is stopped."""

    addresses: list[str]
    """The Service's address, or the pods' addresses of a Service without one."""
    answers: list[str] = field(default_factory=list)
    """The pod that answered, by request."""
    lost: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def _send(self) -> None:
        while not self._stop.wait(0.2):
            url = self.addresses[len(self.answers) % len(self.addresses)]
            try:
                with urllib.request.urlopen(f"http://{url}/", timeout=10) as answer:
                    self.answers.append(answer.read().decode())
            except OSError as error:
                self.lost.append(f"{url}: {error}")

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=15)


@dataclass(frozen=True, kw_only=True)
class Case:
    path: Path
    objects: list[dict[str, Any]]

    @property
    def deployment(self) -> dict[str, Any]:
        return next(each for each in self.objects if each["kind"] == "Deployment")

    @property
    def name(self) -> str:
        return str(self.deployment["metadata"]["name"])

    @property
    def aiapi(self) -> str:
        return f"{self.name}-aiapi"

    @property
    def has_service(self) -> bool:
        return any(each["kind"] == "Service" for each in self.objects)


CASES = [Case(path=path, objects=list(yaml.safe_load_all(path.read_text()))) for path in FILES]


def _containers(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    spec = manifest["spec"].get("template", {}).get("spec", {})
    return [*spec.get("initContainers", ()), *spec.get("containers", ())]


def runnable(manifest: dict[str, Any]) -> dict[str, Any]:
    """One pod of a Deployment, which serves plain HTTP: the sandbox has no HTTPS probes."""
    text = json.dumps(manifest).replace('"scheme": "HTTPS"', '"scheme": "HTTP"')
    found: dict[str, Any] = json.loads(text)
    for name in ("uid", "resourceVersion", "creationTimestamp", "generation"):
        found["metadata"].pop(name, None)
    found["metadata"].pop("ownerReferences", None)
    found["metadata"].pop("finalizers", None)
    found.pop("status", None)
    for each in _containers(found):
        # It calls the server before that listens: also on a cluster the pod never starts.
        (each.get("lifecycle") or {}).pop("postStart", None)
    if found["kind"] == "Deployment" and found["spec"].get("replicas", 1):
        found["spec"]["replicas"] = 1
    return found


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("adopted")
    with running_sandbox(folder, images=images.build(folder, IMAGES)) as kubeconfig:
        kubectl = Kubectl(kubeconfig=kubeconfig, namespace="default")
        Operator(
            kubectl=Kubectl(kubeconfig=kubeconfig, namespace="aiapi-system"), image=None, root=ROOT
        ).install()
        kubectl("label", "node", "sandbox", *(f"{k}={v}" for k, v in NODE["labels"].items()))
        more = {"status": dict.fromkeys(("capacity", "allocatable"), NODE["resources"])}
        kubectl("patch", "node", "sandbox", "--subresource=status", "-p", json.dumps(more))
        yield Cluster(kubectl=kubectl, image="")


def deploy(cluster: Cluster, case: Case) -> None:
    objects = [
        *needs.needed(case.deployment, TEXTS),
        *(runnable(each) for each in case.objects if each["kind"] in RUNNABLE),
    ]
    document = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    cluster.kubectl("create", "-f", "-", stdin=document)


def why_not(cluster: Cluster) -> str:
    """The Events of pods that do not run."""
    events = cluster.kubectl("get", "events", "--field-selector", "type=Warning")
    return cluster.kubectl("get", "deployments,pods", "-o", "wide") + events


def wait_deployed(cluster: Cluster, case: Case) -> None:
    if case.deployment["spec"].get("replicas", 1):
        wanted = ("--for=condition=Available", f"deployment/{case.name}", "--timeout=30s")
        waited = cluster.kubectl.run("wait", *wanted)
        assert waited.returncode == 0, waited.stderr + why_not(cluster)


def adopt(cluster: Cluster) -> None:
    """Apply what adopt writes for each file, autoscalers included."""
    manifests = [
        converted(sources.from_file(case.path, case.name), Choices()).manifest for case in CASES
    ]
    document = json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
    cluster.kubectl("apply", "--server-side", "-f", "-", stdin=document)


def pods_of_service(cluster: Cluster, name: str) -> dict[str, str]:
    """Names and addresses of the ready pods of a Service."""
    slices = cluster.kubectl.json("endpointslices", "-l", f"kubernetes.io/service-name={name}")
    return {
        endpoint["targetRef"]["name"]: f"{endpoint['addresses'][0]}:{port['port']}"
        for each in slices["items"]
        for port in each.get("ports") or ()
        for endpoint in each.get("endpoints") or ()
        if endpoint["conditions"]["ready"]
    }


def addresses(cluster: Cluster, name: str) -> list[str]:
    service = cluster.kubectl.json("service", name)
    if service["spec"].get("clusterIP") == "None":
        return list(pods_of_service(cluster, name).values())
    return [cluster.service_address(name).removeprefix("http://")]


def move(cluster: Cluster, case: Case) -> None:
    """Selector and port of the Service, in one write."""
    patch = [
        {"op": "replace", "path": "/spec/selector", "value": {"aiapi.dev/name": case.aiapi}},
        {"op": "replace", "path": "/spec/ports/0/targetPort", "value": "http"},
    ]
    cluster.kubectl("patch", f"service/{case.name}", "--type=json", "-p", json.dumps(patch))


def served_by(cluster: Cluster, case: Case, traffic: Traffic) -> None:
    """Wait until only the pods of the AIApi answer."""
    wanted = {pod["metadata"]["name"] for pod in cluster.pods(case.aiapi)}
    eventually(
        lambda: set(pods_of_service(cluster, case.name)) == wanted, within=30, what=case.name
    )
    traffic.addresses = addresses(cluster, case.name)
    sent = len(traffic.answers)
    eventually(
        lambda: len(traffic.answers) > sent + 5 and set(traffic.answers[-3:]) <= wanted,
        within=30,
        what=f"the pods of {case.aiapi} answer",
        state=lambda: traffic.answers[-5:],
    )


@pytest.mark.long_adopt
@pytest.mark.timeout(300)
def test_each_adopted_deployment_is_ready_and_takes_the_traffic(cluster: Cluster) -> None:
    for case in CASES:
        deploy(cluster, case)
    for case in CASES:
        wait_deployed(cluster, case)
    traffic = {
        case.name: Traffic(addresses=addresses(cluster, case.name))
        for case in CASES
        if case.has_service
    }
    for each in traffic.values():
        each.start()
    adopt(cluster)
    for case in CASES:
        cluster.wait_ready(case.aiapi)
    for case in CASES:
        if case.has_service:
            move(cluster, case)
    for case in CASES:
        if case.has_service:
            served_by(cluster, case, traffic[case.name])
        else:
            url = cluster.service_address(case.aiapi)
            with urllib.request.urlopen(f"{url}/", timeout=10) as answer:  # noqa: S310 - http
                assert answer.read().decode().startswith(case.aiapi)
    for each in traffic.values():
        each.stop()
    assert {name: each.lost for name, each in traffic.items() if each.lost} == {}
    assert min(len(each.answers) for each in traffic.values()) > 20
    restarted = {
        pod["metadata"]["name"]: status["restartCount"]
        for case in CASES
        for pod in cluster.pods(case.aiapi)
        for status in pod["status"]["containerStatuses"]
        if status["restartCount"]
    }
    assert restarted == {}
