"""The operator with the fault proxy between it and the API server."""

from dataclasses import dataclass

import yaml
from e2e_support.api_proxy import add_api_proxy
from e2e_support.fault import hold
from e2e_support.fault_sidecar import Rule, Sidecar
from e2e_support.kubectl import eventually
from e2e_support.operator import Operator

OPERATOR = ("Deployment", "aiapi-operator")


@dataclass(frozen=True, kw_only=True)
class FaultyOperator(Operator):
    proxy_image: str
    is_local: bool

    def manifests(self) -> str:
        documents = list(yaml.safe_load_all(super().manifests()))
        for document in documents:
            if (document["kind"], document["metadata"]["name"]) == OPERATOR:
                pod = document["spec"]["template"]["spec"]
                add_api_proxy(pod, self.proxy_image, target="aiapi-operator")
                pod["shareProcessNamespace"] = True
        return yaml.safe_dump_all(documents)

    def names(self) -> list[str]:
        """The operator's pods that are not being deleted."""
        pods = (pod["metadata"] for pod in self.pods())
        return sorted(pod["name"] for pod in pods if "deletionTimestamp" not in pod)

    def sidecar(self, pod: str) -> Sidecar:
        return Sidecar(kubectl=self.kubectl, pod=pod, is_local=self.is_local)

    def wait_taken_over(self, cut: Sidecar) -> None:
        """Wait until the standby leads, and not the pod that was cut off."""
        eventually(
            lambda: self.leader() not in ("", cut.pod),
            within=40,
            what="the standby leads",
            state=self.leader,
        )

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
