"""The status of Deployments whose pods are refused."""

from datetime import UTC, datetime
from typing import Any

from aiapi_sandbox.controllers.deployment_status import next_status

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def replica_set(*messages: str) -> dict[str, Any]:
    failures = [
        {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
        for message in messages
    ]
    meta = {"name": "web-1", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {"metadata": meta, "spec": {"replicas": 2}, "status": {"conditions": failures}}


def failures(status: dict[str, Any]) -> list[str]:
    return [c["message"] for c in status["conditions"] if c["type"] == "ReplicaFailure"]


def test_a_refusal_is_shown_until_it_ends() -> None:
    deployment: dict[str, Any] = {
        "metadata": {"name": "web", "generation": 1},
        "spec": {"replicas": 2, "strategy": {"type": "Recreate"}},
    }
    for refused, shown in (
        (replica_set("first"), ["first"]),
        (replica_set("second"), ["first"]),  # a retry has another pod name in its message
        (replica_set(), []),
    ):
        deployment["status"] = next_status(deployment, refused, [refused], NOW)
        assert failures(deployment["status"]) == shown
