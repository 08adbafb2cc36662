"""Load from a pod inside the cluster: the demo's generator, passed in its environment."""

import json
from dataclasses import dataclass
from typing import Any

from e2e_support.cluster import Cluster
from e2e_support.kubectl import eventually

RESTRICTED: dict[str, Any] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}
GENERATE = 'printf %s "$SCRIPT" | python -m aiapi_demo.load'
ANSWER = {"question": "What is an event loop?"}


@dataclass(frozen=True, kw_only=True)
class Sent:
    """The generator's counts."""

    requests: int
    failed: int


@dataclass(frozen=True, kw_only=True)
class Load:
    cluster: Cluster
    pod: str

    def _phase(self) -> str:
        phase: str = self.cluster.kubectl.json("pod", self.pod)["status"].get("phase", "")
        return phase

    def _lines(self) -> list[dict[str, Any]]:
        lines = self.cluster.kubectl("logs", self.pod).splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def wait_started(self) -> None:
        eventually(
            lambda: self.cluster.kubectl.run("logs", self.pod).stdout.count("progress") > 0,
            within=60,
            what="the load has started",
        )

    def wait(self, *, within: float) -> Sent:
        """The final counts. The pod must succeed."""
        phase = eventually(
            lambda: p if (p := self._phase()) in {"Succeeded", "Failed"} else None,
            within=within,
            what="the load has finished",
        )
        assert phase == "Succeeded", self.cluster.kubectl("logs", self.pod)
        end = next(line for line in self._lines() if line["event"] == "end")
        return Sent(requests=end["requests"], failed=end["failed"])


def start_load(
    cluster: Cluster, *, service: str, rate: float, seconds: float, path: str = "/v1/answer"
) -> Load:
    """Start open-loop load on a Service for some seconds."""
    script = {
        "url": cluster.service_address(service) + path,
        "body": ANSWER,
        "phases": [{"name": "load", "seconds": seconds, "rate": rate, "upstream_seconds": 0}],
        "records": "/dev/null",
    }
    name = f"load-{int(rate)}-{int(seconds)}"
    run_pod(cluster, name, ["sh", "-c", GENERATE], SCRIPT=json.dumps(script))
    return Load(cluster=cluster, pod=name)


def run_pod(cluster: Cluster, name: str, command: list[str], **env: str) -> None:
    """A pod that runs once with the image under test."""
    container = {
        "name": "main",
        "image": cluster.image,
        "command": command,
        "env": [{"name": key, "value": value} for key, value in env.items()],
        "securityContext": RESTRICTED,
    }
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "automountServiceAccountToken": False,
            "restartPolicy": "Never",
            "containers": [container],
        },
    }
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(body))
