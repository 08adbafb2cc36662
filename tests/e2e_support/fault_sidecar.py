"""The fault proxy as a sidecar: its container, and how a test controls it."""

import json
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e_support.kubectl import Kubectl, eventually
from e2e_support.load import RESTRICTED

SCRIPT = Path(__file__).with_name("fault_proxy.py")
CONTROL = 9443
Rule = dict[str, Any]


def container(
    image: str, *, upstream: str, listen: int, target: str, tls: dict[str, str] | None = None
) -> dict[str, Any]:
    """A container that forwards ``listen`` to ``upstream``, and may signal ``target``.

    ``tls`` is the mount of the certificate that it serves.
    """
    address = {"fieldRef": {"fieldPath": "status.podIP"}}
    env = {
        "SCRIPT": SCRIPT.read_text(encoding="utf-8"),
        "UPSTREAM": upstream,
        "LISTEN": str(listen),
        "CONTROL": str(CONTROL),
        "TARGET": target,
        "TLS_DIR": tls["mountPath"] if tls is not None else "",
    }
    return {
        "name": "fault",
        "image": image,
        "command": ["sh", "-c", 'exec python -c "$SCRIPT"'],
        "env": [
            {"name": "POD_IP", "valueFrom": address},
            *({"name": name, "value": value} for name, value in env.items()),
        ],
        "volumeMounts": [tls] if tls is not None else [],
        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
        "securityContext": RESTRICTED,
    }


@dataclass(frozen=True, kw_only=True)
class Sidecar:
    """The fault proxy of one pod. Without ``is_local`` it is reached through the API server."""

    kubectl: Kubectl
    pod: str
    is_local: bool

    def rules(self, *rules: Rule) -> None:
        """Replace the rules; without any, the pod is healthy again."""
        self._send("rules", list(rules))

    def signal(self, name: str, **which: Any) -> None:
        """Signal the program beside the proxy, or ``program``, and ``most`` of its processes."""
        assert self.has_signalled(name, **which), f"nothing to signal in {self.pod}"

    def has_signalled(self, name: str, **which: Any) -> bool:
        """The same where the kubelet may be restarting the program."""
        return bool(self._send("signal", {"name": name, **which}))

    def seen(self) -> list[int]:
        """How often each rule has matched."""
        found: list[int] = self._send("seen", None)
        return found

    def wait_seen(self, *, within: float) -> None:
        """Wait until each rule has matched."""
        eventually(lambda: all(self.seen()), within=within, what="the fault has happened")

    def wait_up(self) -> None:
        eventually(
            self._is_up,
            within=30,
            what=f"the fault proxy of {self.pod} answers",
            state=lambda: (
                self.kubectl.run("get", "pod", self.pod, "-o", "jsonpath={.status}").stdout
                + self.kubectl.run("logs", self.pod, "-c", "fault").stdout
            ),
        )

    def _is_up(self) -> bool:
        try:
            self.seen()
        except (OSError, AssertionError):
            return False
        return True

    def _send(self, path: str, body: Any) -> Any:
        if self.is_local:
            return self._send_directly(path, body)
        namespace = self.kubectl.namespace
        raw = f"/api/v1/namespaces/{namespace}/pods/{self.pod}:{CONTROL}/proxy/{path}"
        return json.loads(self.kubectl("create", "--raw", raw, "-f", "-", stdin=json.dumps(body)))

    def _send_directly(self, path: str, body: Any) -> Any:
        address = self.kubectl.json("pod", self.pod)["status"]["podIP"]
        request = urllib.request.Request(
            f"http://{address}:{CONTROL}/{path}", data=json.dumps(body).encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - a pod of the test
            return json.load(answer)
