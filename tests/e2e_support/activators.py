"""The activators of the installation."""

import copy
import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from e2e_support.api_proxy import add_api_proxy
from e2e_support.fault_sidecar import Rule, Sidecar
from e2e_support.kubectl import eventually
from e2e_support.operator import Operator

SELECTOR = "app.kubernetes.io/component=activator"
DEPLOYMENT = "deployment/aiapi-operator-activator"


class Activators:
    """Controls them with kubectl, as a user could."""

    def __init__(self, operator: Operator, *, is_local: bool) -> None:
        self._kubectl = operator.kubectl
        self._is_local = is_local

    def pods(self) -> list[dict[str, Any]]:
        """The ones that are not being deleted."""
        items = self._kubectl.json("pods", "-l", SELECTOR)["items"]
        return [each for each in items if "deletionTimestamp" not in each["metadata"]]

    def addresses(self) -> list[str]:
        return sorted(each["status"].get("podIP", "") for each in self.pods())

    def kill(self, *names: str) -> None:
        """Kill pods without a grace period, like a lost node."""
        self._kubectl("delete", "pod", *names, "--force", "--grace-period=0")

    def scale(self, replicas: int) -> None:
        self._kubectl("scale", DEPLOYMENT, f"--replicas={replicas}")

    def wait_ready(self, count: int = 2) -> None:
        eventually(
            lambda: sum(map(_is_ready, self.pods())) == count,
            within=60,
            what=f"{count} activators are ready",
            state=lambda: self._kubectl.run("logs", "-l", SELECTOR).stdout,
        )

    def set_env(self, **values: str) -> None:
        """Change variables, and wait until only activators with them run."""
        pairs = [f"{name}={value}" for name, value in values.items()]
        self._kubectl("set", "env", DEPLOYMENT, *pairs)
        self._wait_rolled_out()

    @contextmanager
    def behind_proxies(self, image: str) -> Iterator[None]:
        """Put a fault proxy between each activator and the API server, for the block."""
        before = self._kubectl.json(DEPLOYMENT)["spec"]["template"]["spec"]
        pod = copy.deepcopy(before)
        add_api_proxy(pod, image, target="python")
        self._set_pod(pod)
        try:
            yield
        finally:
            self._set_pod(before)

    def _set_pod(self, pod: dict[str, Any]) -> None:
        change = [{"op": "replace", "path": "/spec/template/spec", "value": pod}]
        self._kubectl("patch", DEPLOYMENT, "--type=json", "-p", json.dumps(change))
        self._wait_rolled_out()

    def _wait_rolled_out(self) -> None:
        self._kubectl("rollout", "status", DEPLOYMENT, "--timeout=90s", timeout=100)
        eventually(lambda: len(self.pods()) == 2, within=60, what="the old activators end")

    def suffer(self, *rules: Rule) -> None:
        """Replace the faults of all proxies; without any, the API server is back."""
        for each in self.pods():
            name = each["metadata"]["name"]
            sidecar = Sidecar(kubectl=self._kubectl, pod=name, is_local=self._is_local)
            sidecar.wait_up()
            sidecar.rules(*rules)

    def holding(self, aiapi: str) -> dict[str, int]:
        """Requests that each pod holds for an AIApi."""
        return {
            each["metadata"]["name"]: self._state(each).get(aiapi, {}).get("held", 0)
            for each in self.pods()
        }

    def wait_holding(self, aiapi: str, count: int) -> None:
        """Wait until the activators together hold so many requests for an AIApi."""
        eventually(
            lambda: sum(self.holding(aiapi).values()) == count,
            within=30,
            what=f"{count} requests are held",
            state=lambda: self.holding(aiapi),
        )

    def _state(self, pod: dict[str, Any]) -> dict[str, Any]:
        """Read directly where the pods are local, and otherwise through the API server."""
        if self._is_local:
            url = f"http://{pod['status']['podIP']}:9090/state"
            with urllib.request.urlopen(url, timeout=10) as answer:
                return dict(json.load(answer)["aiapis"])
        namespace, name = self._kubectl.namespace, pod["metadata"]["name"]
        raw = f"/api/v1/namespaces/{namespace}/pods/{name}:9090/proxy/state"
        return dict(json.loads(self._kubectl("get", "--raw", raw))["aiapis"])


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = {each["type"]: each["status"] for each in pod["status"].get("conditions", ())}
    return conditions.get("Ready") == "True"
