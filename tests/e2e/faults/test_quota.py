"""A ResourceQuota has no room for another worker or pod."""

import json

from e2e_support.fault import Row, Steady
from e2e_support.fault_room import MOST_GROWTH, MOST_PODS, ask, ask_nothing, wait_reason
from e2e_support.kubectl import eventually

ROW = Row(
    fault="ResourceQuota exhausted",
    user="`ScalingLimited` with reason `QuotaReached` and the quota",
    operator="Keeps the fleet, and adds the pods once the quota is raised",
)


def test_a_quota_without_room(steady: Steady) -> None:
    with steady.fault(grows=MOST_GROWTH):
        running = len(steady.cluster.kubectl.json("pods")["items"])
        set_quota(steady, running)
        ask(steady, replicas=MOST_PODS)
        message = wait_reason(steady, "ScalingLimited", "QuotaReached")
        assert "exceeded quota: team" in message
        set_quota(steady, running + MOST_PODS)
        eventually(
            lambda: steady.cluster.status(steady.name).get("readyReplicas") == MOST_PODS,
            within=60,  # a ReplicaSet tries again with a delay that doubles
            what="the pods run",
            state=lambda: steady.cluster.status(steady.name),
        )
        ask_nothing(steady)
    steady.cluster.kubectl("delete", "quota", "team")


def set_quota(steady: Steady, pods: int) -> None:
    body = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "team"},
        "spec": {"hard": {"pods": str(pods)}},
    }
    steady.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(body))
