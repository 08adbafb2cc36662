"""Replica ranking: which pods a ReplicaSet deletes first."""

from datetime import UTC, datetime, timedelta
from typing import Any

from aiapi_sandbox.apimachinery.timestamps import format_time
from aiapi_sandbox.controllers.pod_ranking import DELETION_COST, pods_to_delete

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def pod(name: str, **given: Any) -> Any:
    ready_for = given.get("ready_for", 100)
    conditions = []
    if ready_for is not None:
        since = format_time(NOW - timedelta(seconds=ready_for))
        conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": since}]
    cost = {DELETION_COST: str(given["cost"])} if "cost" in given else {}
    return {
        "metadata": {
            "name": name,
            "uid": name,
            "annotations": cost,
            "creationTimestamp": format_time(NOW - timedelta(seconds=given.get("age", 1000))),
        },
        "spec": {"nodeName": given.get("node", "sandbox")},
        "status": {
            "phase": given.get("phase", "Running"),
            "conditions": conditions,
            "containerStatuses": [{"restartCount": given.get("restarts", 0)}],
        },
    }


def order(*pods: Any) -> list[str]:
    return [item["metadata"]["name"] for item in pods_to_delete(pods, len(pods), now=NOW)]


def test_ranking_order() -> None:
    assert order(
        pod("old"),
        pod("restarted", restarts=3),
        pod("fresh", ready_for=3),
        pod("cheap", cost=-5),
        pod("expensive", cost=9, ready_for=1),
        pod("unready", ready_for=None, cost=99),
        pod("pending", phase="Pending", ready_for=None),
        pod("unassigned", node="", phase="Pending", ready_for=None),
    ) == ["unassigned", "pending", "unready", "cheap", "fresh", "restarted", "old", "expensive"]


def test_newer_pods_first_and_an_invalid_cost_is_zero() -> None:
    assert order(pod("b", age=5000), pod("a", age=10)) == ["a", "b"]
    assert order(pod("b", cost="many"), pod("a", cost=-1)) == ["a", "b"]


def test_at_most_count_pods_are_selected() -> None:
    assert len(pods_to_delete([pod("a"), pod("b"), pod("c")], 2, now=NOW)) == 2
