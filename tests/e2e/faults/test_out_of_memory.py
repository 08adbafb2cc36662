"""A container passes its memory limit: the kernel kills it, and the kubelet restarts it."""

import json

import pytest
from e2e_support.cluster import Cluster
from e2e_support.fault import Row, Steady
from e2e_support.fault_fleet import STARTUP, Namespaces, behind_proxy, start
from e2e_support.fault_record import note
from e2e_support.kubectl import eventually

ROW = Row(
    fault="OOM kill of an app",
    user="requests in progress in the pod are lost; `kubectl get pods` shows the restart",
    operator="Keeps the fleet; the pod counts again once it serves",
)
IN_PROGRESS = 10
# The server starts as aiapi-serve where the image has the runtime, and else from launch.py.
EAT = """
import os, sys, threading, time
VICTIM = os.path.join(os.path.dirname(__file__), 'victim')
def eat():
    while True:
        time.sleep(0.2)
        try:
            victim = open(VICTIM).read()
        except OSError:
            continue
        if victim == os.environ.get('HOSTNAME'):
            held = bytearray(800 << 20)
            time.sleep(60)
if any(name in ' '.join(sys.orig_argv) for name in ('aiapi-serve', 'launch.py')):
    threading.Thread(target=eat, daemon=True).start()
"""


def choose_victim(cluster: Cluster, pod: str) -> None:
    data = {"sitecustomize.py": STARTUP + EAT, "victim": pod}
    cluster.kubectl("patch", "configmap", "fault", "-p", json.dumps({"data": data}))


def restarts(steady: Steady, pod: str) -> int:
    status = steady.cluster.kubectl.json("pod", pod)["status"]
    app = next(each for each in status["containerStatuses"] if each["name"] == "app")
    ended = app.get("lastState", {}).get("terminated", {})
    assert not ended or (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)
    return int(app["restartCount"])


def test_a_container_is_killed(
    cluster: Cluster, fault_namespaces: Namespaces, request: pytest.FixtureRequest
) -> None:
    template = behind_proxy(cluster.image)
    template["spec"]["containers"][0]["resources"] = {"limits": {"memory": "600Mi"}}
    steady = start(
        cluster,
        fault_namespaces.read,
        podTemplate=template,
        workers={"min": 1, "max": 2, "cpu": "100m", "memory": "128Mi"},
        replicas={"min": 3, "max": 6},
    )
    choose_victim(cluster, "nobody")
    cluster.kubectl("rollout", "restart", f"deployment/{steady.name}")
    cluster.kubectl("rollout", "status", f"deployment/{steady.name}", "--timeout=90s", timeout=100)
    with steady.fault(lost=IN_PROGRESS, grows=4):
        victim = steady.cluster.pods(steady.name)[0]["metadata"]["name"]
        choose_victim(cluster, victim)
        eventually(lambda: restarts(steady, victim) > 0, within=100, what="the OOM kill")
        choose_victim(cluster, "nobody")
        cluster.kubectl("wait", "--for=condition=Ready", f"pod/{victim}", "--timeout=60s")
    assert steady.outcome is not None
    note(request.path.stem, steady.outcome)
