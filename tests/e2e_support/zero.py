"""AIApis that may go to zero, and requests to them from a pod."""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2e_support.cluster import Cluster
from e2e_support.kubectl import eventually
from e2e_support.kubectl_proxy import ApiReader
from e2e_support.load import run_pod

HERE = Path(__file__).parent
CLIENT = (HERE / "zero_client.py").read_text("utf-8")
FOLDER = "/zero"
AFTER = 30.0
"""``toZeroAfter``: the least that is allowed."""
GRACE = 5.0
"""Seconds that the operator of these scenarios gives the nodes."""
Call = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a client saw of one request."""

    status: int
    """0 without a response."""
    seconds: float
    at: float
    body: str = ""
    retry_after: str = ""


@dataclass(frozen=True, kw_only=True)
class Client:
    """A pod that sends requests."""

    cluster: Cluster
    pod: str

    def lines(self) -> list[dict[str, Any]]:
        logs = self.cluster.kubectl.run("logs", self.pod).stdout.splitlines()
        return [json.loads(line) for line in logs if line.startswith("{")]

    def wait_for(self, event: str, *, within: float = 60) -> None:
        eventually(
            lambda: any(line["event"] == event for line in self.lines()),
            within=within,
            what=f"{self.pod} writes {event}",
            state=lambda: self.cluster.kubectl.run("logs", self.pod).stdout[-2000:],
        )

    def results(self, *, within: float = 120) -> list[Result]:
        """All results, once there are all."""
        self.wait_for("end", within=within)
        found = [line for line in self.lines() if line["event"] == "result"]
        return [
            Result(**{key: value for key, value in line.items() if key != "event"})
            for line in found
        ]


def lost(results: Sequence[Result]) -> list[Result]:
    """Results that are not 200."""
    return [each for each in results if each.status != 200]


@dataclass(kw_only=True)
class Zero:
    """One AIApi with ``replicas.min: 0``."""

    cluster: Cluster
    read: ApiReader
    name: str = "a"
    spec: dict[str, Any] = field(default_factory=dict)

    def deploy(self, *, import_seconds: float = 0.0, **spec: Any) -> None:
        """Apply it, without waiting."""
        self._create_app()
        mount = {"name": "zero", "mountPath": FOLDER}
        app = {
            "name": "app",
            "env": [{"name": "PYTHONPATH", "value": FOLDER}],
            "volumeMounts": [mount],
        }
        volume = {"name": "zero", "configMap": {"name": "zero"}}
        self.spec = {
            "app": "zero_app:app",
            "env": [{"name": "IMPORT_SECONDS", "value": str(import_seconds)}],
            "workers": {"min": 1, "max": 2, "cpu": "50m", "memory": "96Mi"},
            "replicas": {"min": 0, "max": 4},
            "scaling": {"toZeroAfter": f"{AFTER:g}s"},
            "podTemplate": {"spec": {"containers": [app], "volumes": [volume]}},
            **spec,
        }
        self.cluster.apply(self.name, **self.spec)

    def _create_app(self) -> None:
        text = (HERE / "zero_app.py").read_text("utf-8")
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "zero"},
            "data": {"zero_app.py": text},
        }
        self.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(body))

    def change(self, **spec: Any) -> None:
        """Apply it with other fields."""
        self.spec = {**self.spec, **spec}
        self.cluster.apply(self.name, **self.spec)

    def wait_answering(self) -> None:
        """Wait until its pod serves and all nodes know that."""
        self.cluster.wait_ready(self.name)
        eventually(
            lambda: not lost(self.send().results()), within=60, what="the Service leads to the pod"
        )

    def put_to_zero(self) -> None:
        """Scale its Deployment to zero, which needs no idle time, and wait until it sleeps."""
        self.cluster.wait_ready(self.name)
        self.wait_phase("Serving")
        self.cluster.kubectl("scale", f"deployment/{self.name}", "--replicas=0")
        self.wait_asleep()

    def _path(self, kind: str, name: str = "") -> str:
        namespace = self.cluster.kubectl.namespace
        groups = {
            "aiapis": "apis/aiapi.dev/v1alpha1",
            "deployments": "apis/apps/v1",
            "endpointslices": "apis/discovery.k8s.io/v1",
        }
        return f"/{groups[kind]}/namespaces/{namespace}/{kind}{name and f'/{name}'}"

    def activation(self) -> dict[str, Any]:
        status = self.read(self._path("aiapis", self.name)).get("status") or {}
        found: dict[str, Any] = status.get("activation") or {}
        return found

    def phase(self) -> str:
        return str(self.activation().get("phase", ""))

    def replicas(self) -> int:
        return int(self.read(self._path("deployments", self.name))["spec"].get("replicas", 1))

    def wait_phase(self, *phases: str, within: float = 60) -> None:
        eventually(
            lambda: self.phase() in phases,
            within=within,
            what=f"{self.name} is {' or '.join(phases)}",
            state=self.activation,
        )

    def wait_asleep(self, *, within: float = AFTER + GRACE + 30) -> None:
        self.wait_phase("Asleep", within=within)
        # A pod that ends still answers.
        left = ("get", "pods", "-l", f"aiapi.dev/name={self.name}", "-o", "name")
        eventually(
            lambda: not self.cluster.kubectl(*left).strip(), within=60, what="the pods are gone"
        )

    def slices(self) -> dict[str, list[str]]:
        """The addresses of each EndpointSlice of the Service, by who manages it."""
        label = "endpointslice.kubernetes.io/managed-by"
        found: dict[str, list[str]] = {}
        for each in self.read(self._path("endpointslices"))["items"]:
            labels = each["metadata"]["labels"]
            if labels.get("kubernetes.io/service-name") == self.name:
                addresses = [a for one in each["endpoints"] or () for a in one["addresses"]]
                found.setdefault(labels[label], []).extend(addresses)
        return found

    def send(self, *calls: Call, keep_alive: bool = False, timeout: float = 120) -> Client:
        """Send requests from a new pod; without calls, one at once."""
        spec = {
            "url": self.cluster.service_address(self.name),
            "calls": calls or [{"at": 0}],
            "keep_alive": keep_alive,
            "timeout": timeout,
        }
        pod = f"client-{secrets.token_hex(3)}"
        script = ["sh", "-c", 'exec python -c "$SCRIPT"']
        run_pod(self.cluster, pod, script, SCRIPT=CLIENT, SPEC=json.dumps(spec))
        return Client(cluster=self.cluster, pod=pod)
