"""The operator with the fault proxy between it and the API server."""

from dataclasses import dataclass
from typing import Any

import yaml
from e2e_support.fault import hold
from e2e_support.fault_sidecar import Rule, Sidecar, container
from e2e_support.kubectl import eventually
from e2e_support.operator import Operator

OPERATOR = ("Deployment", "aiapi-operator")
FOLDER = "/fault"
PORT = 9444
KUBECONFIG = """
import json, os
with open(os.environ["TO"], "w") as file:
    json.dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "fault",
        "clusters": [{"name": "fault", "cluster": {"server": os.environ["SERVER"]}}],
        "users": [{"name": "fault", "user": {"token": "the-proxy-has-it"}}],
        "contexts": [{"name": "fault", "context": {"cluster": "fault", "user": "fault"}}],
    }, file)
"""


@dataclass(frozen=True, kw_only=True)
class FaultyOperator(Operator):
    proxy_image: str
    is_local: bool

    def manifests(self) -> str:
        documents = list(yaml.safe_load_all(super().manifests()))
        for document in documents:
            if (document["kind"], document["metadata"]["name"]) == OPERATOR:
                self._add_proxy(document["spec"]["template"]["spec"])
        return yaml.safe_dump_all(documents)

    def _add_proxy(self, pod: dict[str, Any]) -> None:
        proxy = container(
            self.proxy_image, upstream="kubernetes", listen=PORT, target="aiapi-operator"
        )
        mount = {"name": "fault", "mountPath": FOLDER}
        variables = {"SERVER": f"http://$(POD_IP):{PORT}", "TO": f"{FOLDER}/kubeconfig"}
        writes = {
            **proxy,
            "name": "kubeconfig",
            "command": ["python", "-c", KUBECONFIG],
            "env": [proxy["env"][0], *({"name": k, "value": v} for k, v in variables.items())],
            "volumeMounts": [mount],
        }
        main = pod["containers"][0]
        main["env"].append({"name": "KUBECONFIG", "value": variables["TO"]})
        main["volumeMounts"].append(mount)
        pod["volumes"].append({"name": "fault", "emptyDir": {}})
        pod["initContainers"] = [writes]
        pod["containers"].append(proxy)
        pod["shareProcessNamespace"] = True

    def names(self) -> list[str]:
        """The operator's pods that are not being deleted."""
        pods = (pod["metadata"] for pod in self.pods())
        return sorted(pod["name"] for pod in pods if "deletionTimestamp" not in pod)

    def sidecar(self, pod: str) -> Sidecar:
        return Sidecar(kubectl=self.kubectl, pod=pod, is_local=self.is_local)

    def leading(self) -> Sidecar:
        """The fault proxy of the leader."""
        names = self.names()
        return self.sidecar(
            eventually(
                lambda: who if (who := self.leader()) in names else "",
                within=40,
                what=f"one of {names} leads",
                state=self.leader,
            )
        )

    def sidecars(self) -> list[Sidecar]:
        """The fault proxies of all operators."""
        return [self.sidecar(name) for name in self.names()]

    def suffer(self, rule: Rule, seconds: float) -> int:
        """Inject a fault into all operators for a time. Returns the requests that it hit."""
        sidecars = self.sidecars()
        for sidecar in sidecars:
            sidecar.rules(rule)
        hold(seconds)
        hits = sum(sum(sidecar.seen()) for sidecar in sidecars)
        self.heal()
        return hits

    def heal(self) -> None:
        """Remove all faults."""
        for sidecar in self.sidecars():
            sidecar.wait_up()
            sidecar.rules()
