"""The children of an AIApi: created, restored, unchanged when settled, deleted with it."""

from pathlib import Path
from typing import Any

from e2e_support.audit import requests_of_the_operator
from e2e_support.cluster import CHILDREN, Cluster
from e2e_support.kubectl import eventually, throughout
from e2e_support.operator import Operator

SMALL = {"app": "assistant.llm:app", "replicas": {"min": 1, "max": 4}}


def versions(cluster: Cluster, name: str) -> dict[str, str]:
    """The resourceVersion of the AIApi and of each child."""
    found = {kind: c["metadata"]["resourceVersion"] for kind, c in cluster.children(name).items()}
    found["aiapi"] = cluster.aiapi(name)["metadata"]["resourceVersion"]
    return found


def test_an_aiapi_gets_its_children_and_serves(cluster: Cluster) -> None:
    cluster.apply("a", **SMALL)
    cluster.wait_ready("a")
    children = cluster.children("a")
    assert set(children) == set(CHILDREN)
    uid = cluster.aiapi("a")["metadata"]["uid"]
    for kind, child in children.items():
        owners = child["metadata"]["ownerReferences"]
        assert [o["uid"] for o in owners] == [uid], kind
    assert "finalizers" not in cluster.aiapi("a")["metadata"]
    table = cluster.kubectl("get", "aiapis")
    for column in ("READY", "WORKERS", "REPLICAS", "P95", "OBJECTIVE", "SAVED", "AGE"):
        assert column in table.splitlines()[0]


def test_a_settled_aiapi_causes_no_writes(cluster: Cluster) -> None:
    cluster.apply("a", **SMALL)
    cluster.wait_ready("a")
    eventually(
        lambda: cluster.status("a").get("decision"),
        within=30,
        what="the first decision is reported",
    )
    # The first status may be followed by one with the first numbers.
    before, current = {}, {}

    def settled() -> bool:
        before.update(current)
        current.update(versions(cluster, "a"))
        return before == current

    eventually(settled, every=5, within=60, what="nothing is written for five seconds")
    status = cluster.status("a")

    def changes() -> str:
        now = cluster.status("a")
        pairs = {key: (status.get(key), now.get(key)) for key in status | now}
        return f"status: {[each for each in pairs.items() if len(set(map(str, each[1]))) > 1]}"

    throughout(
        lambda: versions(cluster, "a") == current or changes(),
        seconds=10,
        what="nothing is written",
    )
    cluster.apply("a", **SMALL)
    assert versions(cluster, "a")["aiapi"] == current["aiapi"]


def test_a_missing_child_is_restored_once_the_aiapi_is_known_to_exist(
    cluster: Cluster, audit_log: Path | None
) -> None:
    cluster.apply("a", **SMALL)
    cluster.wait_ready("a")
    service = cluster.children("a")["service"]["metadata"]
    cluster.kubectl("delete", "service", service["name"])

    def is_new() -> bool:
        found = cluster.children("a").get("service")
        return found is not None and found["metadata"]["uid"] != service["uid"]

    eventually(is_new, within=30, what="another Service is there")
    if audit_log is not None:
        asked = {
            (event["verb"], event["objectRef"]["resource"], event["objectRef"].get("name"))
            for event in requests_of_the_operator(audit_log)
            if event["objectRef"].get("namespace") == cluster.kubectl.namespace
        }
        assert ("get", "aiapis", "a") in asked


def test_drift_is_restored(cluster: Cluster) -> None:
    cluster.apply("a", **SMALL)
    cluster.wait_ready("a")
    for kind in ("service", "networkpolicy", "poddisruptionbudget", "secret"):
        before = cluster.children("a")[kind]["metadata"]
        cluster.kubectl("delete", kind, before["name"])
        eventually(
            lambda kind=kind: kind in cluster.children("a"), within=5, what=f"the {kind} is back"
        )
    name = cluster.children("a")["service"]["metadata"]["name"]
    cluster.kubectl(
        "patch", "service", name, "--type=json",
        "-p", '[{"op": "replace", "path": "/spec/ports/0/port", "value": 81}]',
    )  # fmt: skip

    def ports() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = cluster.children("a")["service"]["spec"]["ports"]
        return found

    eventually(
        lambda: [p["port"] for p in ports()] == [80], within=5, what="the edited port is restored"
    )


def test_replicas_set_by_hand_are_reset(cluster: Cluster) -> None:
    cluster.apply("a", **SMALL)
    cluster.wait_ready("a")
    cluster.kubectl("scale", "aiapi", "a", "--replicas=2")
    assert cluster.aiapi("a")["spec"]["replicas"]["min"] == 2
    eventually(
        lambda: cluster.status("a").get("readyReplicas") == 2, within=60, what="two pods are ready"
    )


def test_deletion_without_the_operator_leaves_nothing(cluster: Cluster, operator: Operator) -> None:
    cluster.apply("a", **SMALL)
    cluster.apply("b", **SMALL)
    cluster.wait_ready("a")
    cluster.wait_ready("b")
    operator.stop()
    try:
        cluster.kubectl("delete", "aiapi", "a", "--timeout=20s")
        eventually(
            lambda: not cluster.children("a"), within=60, what="the children of a are deleted"
        )
        eventually(lambda: not cluster.pods("a"), within=60, what="the pods of a are deleted")
        cluster.apply("b", **{**SMALL, "replicas": {"min": 2, "max": 4}})
    finally:
        operator.start()
    eventually(
        lambda: cluster.status("b").get("readyReplicas") == 2,
        within=60,
        what="the change made during the downtime is carried out",
    )
