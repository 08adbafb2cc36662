"""A HorizontalPodAutoscaler sets the replicas of the Deployment."""

import json

from e2e_support.fault import Row, Steady
from e2e_support.fault_room import MOST_GROWTH, MOST_PODS
from e2e_support.kubectl import eventually

ROW = Row(
    fault="a foreign HPA on the Deployment",
    user="`ForeignAutoscaler` names it; the fleet is the HPA's",
    operator="Only recommends while it exists, then decides again",
)
CONDITION = "ForeignAutoscaler"


def test_a_foreign_autoscaler(steady: Steady) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": steady.name}
    body = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "other"},
        "spec": {"scaleTargetRef": target, "minReplicas": MOST_PODS, "maxReplicas": MOST_PODS},
    }
    with steady.fault(grows=MOST_GROWTH):
        steady.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(body))
        found = steady.cluster.wait_condition(steady.name, CONDITION, within=90)
        assert "HorizontalPodAutoscaler other" in found["message"]
        eventually(
            lambda: steady.size().replicas == MOST_PODS, within=60, what="the HPA has its replicas"
        )
        steady.cluster.kubectl("delete", "hpa", "other")
        steady.cluster.wait_condition(steady.name, CONDITION, status="False", within=90)
