"""200 AIApis are created and deleted, twice."""

import json

import pytest
from e2e_support.cluster import Cluster
from e2e_support.fault import Row, Steady
from e2e_support.kubectl import eventually

ROW = Row(
    fault="200 AIApis created and deleted in a loop",
    user="nothing",
    operator="Other AIApis keep their ticks: each has its own task, and Events of new ones wait",
)
COUNT, TIMES = 200, 2
IMAGE = "registry.invalid/no/such:1"
"""Their pods never start a process: the API server and the operator are what is loaded."""


def manifests() -> str:
    items = [
        {
            "apiVersion": "aiapi.dev/v1alpha1",
            "kind": "AIApi",
            "metadata": {"name": f"many-{number}", "labels": {"many": "yes"}},
            "spec": {"image": IMAGE, "replicas": {"min": 1, "max": 2}},
        }
        for number in range(COUNT)
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


@pytest.mark.timeout(600)
def test_many_are_created_and_deleted(steady: Steady, cluster: Cluster) -> None:
    with steady.fault(grows=2):
        for _ in range(TIMES):
            cluster.kubectl("create", "-f", "-", stdin=manifests(), timeout=120)
            cluster.kubectl("delete", "aiapi", "-l", "many=yes", "--wait=false", timeout=280)
    eventually(
        lambda: not cluster.kubectl.json("deployments")["items"],
        within=120,
        what="no children are left behind",
        every=2,
    )
