"""The AIApi that scenarios share: about three busy workers, and a fault proxy in each pod."""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e_support.assistant import LLM_PORT, deploy_assistant, deploy_llm
from e2e_support.cluster import Cluster, own_namespace
from e2e_support.fault import Steady, hold
from e2e_support.fault_load import start_steady_load
from e2e_support.fault_sidecar import Rule, Sidecar, container
from e2e_support.kubectl_proxy import ApiReader

from aiapi_operator.manifests.app_container import TOKEN_FOLDER, TOKEN_VOLUME

NAME = "a"
RATE = 20.0
LOOP_MS = "95"
"""20 requests a second x 95 ms: the loops are busy for 1.9 seconds in each second. Two workers
cannot carry that, and two pods with one worker each are the least fleet."""
NEEDED = 3
"""Workers that carry it: their loops are busy for 63 % of the time."""
PLANNED = 4
"""Workers whose loops are half busy, about as the operator plans for requests of 95 ms."""
BEHIND_PROXY = 9001
ADMIN = 9000
LLM_PROXY = 8001
FOLDER = "/fault"
STARTUP = f"import os; os.environ['AIAPI_ADMIN_PORT'] = '{BEHIND_PROXY}'\n"


@dataclass(frozen=True, kw_only=True)
class Namespaces:
    """Creates namespaces, which are deleted at the end."""

    kubeconfig: Path
    image: str
    stack: ExitStack
    read: ApiReader

    def create(self) -> Cluster:
        return self.stack.enter_context(own_namespace(self.kubeconfig, self.image))


def behind_proxy(image: str) -> dict[str, Any]:
    """A ``podTemplate`` with a fault proxy between the operator and the admin port."""
    proxy = container(
        image,
        upstream=f"https://$(POD_IP):{BEHIND_PROXY}",
        listen=ADMIN,
        target="aiapi-serve",
        tls={"name": TOKEN_VOLUME, "mountPath": TOKEN_FOLDER},
    )
    app = {
        "name": "app",
        "env": [{"name": "PYTHONPATH", "value": FOLDER}],
        "volumeMounts": [{"name": "fault", "mountPath": FOLDER}],
    }
    volume = {"name": "fault", "configMap": {"name": "fault"}}
    return {
        "spec": {"shareProcessNamespace": True, "containers": [app, proxy], "volumes": [volume]}
    }


def create_startup_file(cluster: Cluster) -> None:
    """Python runs it at its start: the operator owns the variable, so the spec cannot set it."""
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "fault"},
        "data": {"sitecustomize.py": STARTUP},
    }
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(body))


def deploy(cluster: Cluster, llm: str, **spec: Any) -> None:
    """An AIApi that scales down as soon as its metrics allow it."""
    create_startup_file(cluster)
    env = [{"name": "LLM_URL", "value": llm}, {"name": "ASSISTANT_LOOP_MS", "value": LOOP_MS}]
    wanted: dict[str, Any] = {
        "env": env,
        "workers": {"min": 1, "max": 2, "cpu": "100m", "memory": "128Mi"},
        "replicas": {"min": 2, "max": 6},
        "podTemplate": behind_proxy(cluster.image),
    }
    deploy_assistant(cluster, NAME, llm, **{**wanted, **spec})


def put_proxy_before_llm(cluster: Cluster) -> None:
    """Send the LLM's requests through a fault proxy."""
    proxy = container(
        cluster.image,
        upstream=f"http://$(POD_IP):{LLM_PORT}",
        listen=LLM_PROXY,
        target="aiapi-serve",
    )
    pod = {"spec": {"template": {"spec": {"containers": [proxy]}}}}
    ports = [{"op": "replace", "path": "/spec/ports/0/targetPort", "value": LLM_PROXY}]
    cluster.kubectl("patch", "deployment", "llm", "-p", json.dumps(pod))
    cluster.kubectl("rollout", "status", "deployment/llm", "--timeout=60s", timeout=70)
    cluster.kubectl("patch", "service", "llm", "--type=json", "-p", json.dumps(ports))


def llm_sidecar(steady: Steady, *, is_local: bool) -> Sidecar:
    """The fault proxy in front of the LLM."""
    kubectl = steady.cluster.kubectl
    pods = kubectl.json("pods", "-l", "app=llm")["items"]
    (name,) = (p["metadata"]["name"] for p in pods if "deletionTimestamp" not in p["metadata"])
    return Sidecar(kubectl=kubectl, pod=name, is_local=is_local)


def pod_sidecars(steady: Steady, *, is_local: bool) -> list[Sidecar]:
    """The fault proxies of the AIApi's pods."""
    kubectl = steady.cluster.kubectl
    names = sorted(pod["metadata"]["name"] for pod in steady.pods())
    return [Sidecar(kubectl=kubectl, pod=name, is_local=is_local) for name in names]


def suffer(
    steady: Steady, sidecars: Sequence[Sidecar], rule: Rule, seconds: float, condition: str = ""
) -> int:
    """Inject a fault into pods until a condition is true, and for a time after that.

    Returns the requests of the pod that it hit least.
    """
    for sidecar in sidecars:
        sidecar.rules(rule)
    if condition:
        steady.wait_condition(condition, within=30)
    hold(seconds)
    hits = min(sum(sidecar.seen()) for sidecar in sidecars)
    for sidecar in sidecars:
        sidecar.rules()
    return hits


class Shared:
    """Deploys the AIApi when it is first needed, and again after a scenario that broke it."""

    def __init__(self, namespaces: Namespaces, *, is_local: bool) -> None:
        self._namespaces = namespaces
        self._is_local = is_local
        self._found: Steady | None = None

    def steady(self) -> Steady:
        if self._found is None:
            self._found = start(self._namespaces.create(), self._namespaces.read)
        local = self._is_local
        pods = pod_sidecars(self._found, is_local=local)
        for sidecar in (*pods, llm_sidecar(self._found, is_local=local)):
            sidecar.wait_up()
            sidecar.rules()
        return self._found

    def discard(self) -> None:
        """Stop its load; its namespace is deleted at the end."""
        if self._found is not None:
            kubectl, pod = self._found.cluster.kubectl, self._found.load.pod
            kubectl("delete", "pod", pod, "--force", "--grace-period=0")
            self._found = None


def start(cluster: Cluster, read: ApiReader, **spec: Any) -> Steady:
    """Deploy an AIApi and its LLM, and start the load."""
    llm = deploy_llm(cluster)
    put_proxy_before_llm(cluster)
    deploy(cluster, llm, **spec)
    load = start_steady_load(cluster, service=NAME, rate=RATE)
    return Steady(cluster=cluster, name=NAME, load=load, read=read, needed=NEEDED, planned=PLANNED)
