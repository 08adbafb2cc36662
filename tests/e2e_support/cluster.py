"""AIApis in the namespace of one test."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e_support.kubectl import Kubectl, eventually

CHILDREN = (
    "deployment",
    "service",
    "serviceaccount",
    "secret",
    "poddisruptionbudget",
    "networkpolicy",
)


@dataclass(frozen=True, kw_only=True)
class Cluster:
    kubectl: Kubectl
    image: str

    def create_namespace(self) -> None:
        self.kubectl("create", "namespace", self.kubectl.namespace)
        self.kubectl(
            "label",
            "namespace",
            self.kubectl.namespace,
            "pod-security.kubernetes.io/enforce=restricted",
        )

    def delete_namespace(self) -> None:
        self.kubectl("delete", "namespace", self.kubectl.namespace, "--wait=false")

    def apply(self, name: str, **spec: Any) -> str:
        body = {
            "apiVersion": "aiapi.dev/v1alpha1",
            "kind": "AIApi",
            "metadata": {"name": name},
            "spec": {"image": self.image, **spec},
        }
        return self.kubectl("apply", "-f", "-", stdin=json.dumps(body))

    def aiapi(self, name: str) -> dict[str, Any]:
        return self.kubectl.json("aiapi", name)

    def status(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.aiapi(name).get("status", {})
        return found

    def condition(self, name: str, kind: str) -> dict[str, Any]:
        """The condition, or an empty dict."""
        conditions = self.status(name).get("conditions", [])
        return next((c for c in conditions if c["type"] == kind), {})

    def wait_condition(
        self, name: str, kind: str, *, status: str = "True", within: float = 60
    ) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            found = self.condition(name, kind)
            return found if found.get("status") == status else None

        return eventually(
            look,
            within=within,
            what=f"{kind}={status} of {name}",
            state=lambda: self.status(name),
        )

    def wait_ready(self, name: str, *, within: float = 90) -> None:
        self.wait_condition(name, "Ready", within=within)

    def children(self, name: str) -> dict[str, dict[str, Any]]:
        """The existing children of an AIApi, by kind."""
        found = {}
        for kind in CHILDREN:
            items = self.kubectl.json(kind, "-l", f"app.kubernetes.io/instance={name}")["items"]
            if items:
                assert len(items) == 1, f"{len(items)} {kind} of {name}"
                found[kind] = items[0]
        return found

    def pods(self, name: str) -> list[dict[str, Any]]:
        """The AIApi's pods that are not terminating."""
        items = self.kubectl.json("pods", "-l", f"aiapi.dev/name={name}")["items"]
        return [pod for pod in items if "deletionTimestamp" not in pod["metadata"]]

    def service_address(self, service: str) -> str:
        """``http://ip:port``: a cluster IP, because not every cluster has DNS.

        The sandbox reports another address where port 80 requires root.
        """
        found = self.kubectl.json("service", service)
        spec, annotations = found["spec"], found["metadata"].get("annotations", {})
        own = f"{spec['clusterIP']}:{spec['ports'][0]['port']}"
        return f"http://{annotations.get('sandbox.aiapi.dev/address', own)}"


@contextmanager
def own_namespace(kubeconfig: Path, image: str) -> Iterator[Cluster]:
    """A new namespace for the block, which admits only restricted pods."""
    kubectl = Kubectl(kubeconfig=kubeconfig, namespace=f"e2e-{secrets.token_hex(4)}")
    cluster = Cluster(kubectl=kubectl, image=image)
    cluster.create_namespace()
    try:
        yield cluster
    finally:
        cluster.delete_namespace()
