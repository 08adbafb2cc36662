"""The operator is killed with -9 before and after each kind of write of a tick."""

import json
from collections.abc import Callable

import pytest
from e2e_support.cluster import Cluster
from e2e_support.fault import Row, Steady
from e2e_support.faulty_operator import FaultyOperator
from e2e_support.kubectl import eventually

ROW = Row(
    fault="operator killed at any step of a tick",
    user="nothing; decisions pause for a few seconds",
    operator="Starts again from the cluster and the checkpoint in the status. Each write sets a"
    " target state, so a write that was lost or that succeeded unseen is retried",
    is_short=True,
)
MINIMUM = 2
MORE = 8
"""Workers that the raised minimum may add."""


def raise_minimum(cluster: Cluster, name: str) -> None:
    """One pod more: a scale, an Event, and a resize of the new pod."""
    more = len(cluster.pods(name)) + 1
    edit = {"spec": {"replicas": {"min": more, "max": more + 1}}}
    cluster.kubectl("patch", "aiapi", name, "--type=merge", "-p", json.dumps(edit))


def reset_spec(cluster: Cluster, name: str) -> None:
    edit = {
        "spec": {
            "replicas": {"min": MINIMUM, "max": 6},
            "workers": {"max": 2},
            "scaling": {"schedules": []},
        }
    }
    cluster.kubectl("patch", "aiapi", name, "--type=merge", "-p", json.dumps(edit))


def add_workers(cluster: Cluster, name: str) -> None:
    """A third worker in each pod, which a schedule asks for: a resize of each pod."""
    launch = {"start": "* * * * *", "duration": "24h", "minWorkers": 3}
    edit = {"spec": {"workers": {"max": 3}, "scaling": {"schedules": [launch]}}}
    cluster.kubectl("patch", "aiapi", name, "--type=merge", "-p", json.dumps(edit))


def change_interval(cluster: Cluster, name: str) -> None:
    """Only a new status."""
    now = cluster.aiapi(name)["spec"]["scaling"].get("interval")
    edit = {"spec": {"scaling": {"interval": "2s" if now == "3s" else "3s"}}}
    cluster.kubectl("patch", "aiapi", name, "--type=merge", "-p", json.dumps(edit))


def delete_child(cluster: Cluster, name: str) -> None:
    cluster.kubectl("delete", "poddisruptionbudget", "-l", f"aiapi.dev/name={name}")


WRITES: dict[str, tuple[str, Callable[[Cluster, str], None]]] = {
    "scale": ("/deployments/[^/]+/scale", raise_minimum),
    "resize": ("/pods/[^/]+/resize", add_workers),
    "status": ("/aiapis/[^/]+/status", change_interval),
    "event": ("/events", raise_minimum),
    "child": ("/poddisruptionbudgets/", delete_child),
    "lease": ("/leases/", change_interval),
    "deletion cost": ("/pods/[^/?]+([?]|$)", reset_spec),
}
LONG = pytest.mark.long_fault
CASES = [
    pytest.param(kind, when, marks=() if (kind, when) == ("scale", "before") else LONG)
    for kind in WRITES
    for when in ("before", "after")
]


@pytest.mark.parametrize(("kind", "when"), CASES)
def test_the_operator_is_killed(
    steady: Steady, operator: FaultyOperator, kind: str, when: str
) -> None:
    path, provoke = WRITES[kind]
    rule = {"methods": ["POST", "PATCH", "PUT"], "path": path, "action": f"kill-{when}", "times": 1}
    if kind == "deletion cost":
        raise_minimum(steady.cluster, steady.name)
        eventually(
            lambda: steady.status().get("readyReplicas", 0) > 2,
            within=40,
            what="a pod more is ready",
        )
    try:
        with steady.fault(grows=MORE):
            leader = operator.leading()
            leader.rules(rule)
            provoke(steady.cluster, steady.name)
            leader.wait_seen(within=60)
    finally:
        reset_spec(steady.cluster, steady.name)
