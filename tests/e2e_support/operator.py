"""The operator in the cluster, from the manifests that users apply."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from e2e_support.kubectl import Kubectl, eventually

POLICY = "AIAPI_OPERATOR_POD_TEMPLATE_POLICY"


def _given(name: str, settings: Mapping[str, str]) -> dict[str, str]:
    """The value that replaces the one of the manifests, if any."""
    given = {POLICY: json.dumps({"serviceAccounts": ["*/chat", "*/agent"]}), **settings}
    return {"value": given[name]} if name in given else {}


@dataclass(frozen=True, kw_only=True)
class Operator:
    kubectl: Kubectl
    image: str | None
    root: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    """Variables of the operator with other values than in the manifests."""

    def manifests(self) -> str:
        """deploy/operator.yaml with the image under test, if any, and the service accounts that
        adopted Deployments have."""
        documents = list(yaml.safe_load_all((self.root / "deploy/operator.yaml").read_text()))
        for document in documents:
            if document["kind"] == "Deployment":
                (container,) = document["spec"]["template"]["spec"]["containers"]
                container["image"] = self.image or container["image"]
                for each in container["env"]:
                    each.update(_given(each["name"], self.settings))
        return yaml.safe_dump_all(documents)

    def install(self) -> None:
        self.kubectl("apply", "--server-side", "-f", str(self.root / "crds"))
        self.kubectl("wait", "--for=condition=Established", "crd/aiapis.aiapi.dev")
        self.kubectl("apply", "-f", "-", stdin=self.manifests())
        self.wait_available()

    def set_env(self, **values: str) -> None:
        """Change variables of the operator, and wait until a pod with them leads."""
        pairs = [f"{name}={value}" for name, value in values.items()]
        self.kubectl("set", "env", "deployment/aiapi-operator", *pairs)
        self.kubectl(
            *("rollout", "status", "deployment/aiapi-operator", "--timeout=90s"), timeout=100
        )
        eventually(
            lambda: self.leader() in self._pods_with(values),
            within=60,
            what=f"an operator with {', '.join(pairs)} leads",
            state=self.leader,
        )

    def _pods_with(self, values: Mapping[str, str]) -> list[str]:
        """Names of the pods with these variables."""
        found = []
        for pod in self.pods():
            given = pod["spec"]["containers"][0]["env"]
            variables = {each["name"]: each.get("value") for each in given}
            if values.items() <= variables.items():
                found.append(pod["metadata"]["name"])
        return found

    def env(self) -> dict[str, str]:
        """The variables of the operator."""
        deployment = self.kubectl.json("deployment", "aiapi-operator")
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        return {each["name"]: each.get("value", "") for each in container["env"]}

    def uninstall(self) -> None:
        self.kubectl("delete", "-f", "-", "--ignore-not-found", stdin=self.manifests())

    def wait_available(self) -> None:
        waited = self.kubectl.run(
            "wait", "--for=condition=Available", "deployment/aiapi-operator", "--timeout=90s",
            timeout=100,
        )  # fmt: skip
        assert waited.returncode == 0, waited.stderr + self._why_not()

    def _why_not(self) -> str:
        described = self.kubectl.run("describe", "pods").stdout
        return described + self.kubectl.run("logs", "deployment/aiapi-operator").stdout

    def pods(self) -> list[dict[str, Any]]:
        selector = "app.kubernetes.io/name=aiapi-operator"
        found: list[dict[str, Any]] = self.kubectl.json("pods", "-l", selector)["items"]
        return found

    def leader(self) -> str:
        """The leader; empty without one."""
        lease = self.kubectl.json("lease", "aiapi-operator")["spec"]
        return str(lease.get("holderIdentity", ""))

    def kill(self) -> None:
        """Kill the pods without a grace period, like a lost node. The Deployment replaces them."""
        names = [pod["metadata"]["name"] for pod in self.pods()]
        self.kubectl("delete", "pod", *names, "--force", "--grace-period=0")

    def stop(self) -> None:
        self.kubectl("scale", "deployment/aiapi-operator", "--replicas=0")
        eventually(lambda: not self.pods(), within=60, what="the operator's pods are deleted")

    def start(self) -> None:
        self.kubectl("scale", "deployment/aiapi-operator", "--replicas=1")
        self.wait_available()
