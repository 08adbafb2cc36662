"""Another autoscaler on an AIApi that may go to zero."""

import json

import pytest
from e2e_support.kubectl import throughout
from e2e_support.zero import AFTER, GRACE, Zero, lost

AIAPI = {"apiVersion": "aiapi.dev/v1alpha1", "kind": "AIApi"}
DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment"}
CONDITION = "ForeignAutoscaler"


def create_hpa(zero: Zero, target: dict[str, str], least: int) -> None:
    reference = {**target, "name": zero.name}
    body = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "other"},
        "spec": {"scaleTargetRef": reference, "minReplicas": least, "maxReplicas": 3},
    }
    zero.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(body))


@pytest.mark.long_zero
def test_an_hpa_of_the_deployment_keeps_its_pods(zero: Zero) -> None:
    zero.deploy(replicas={"min": 1, "max": 4})
    zero.wait_answering()
    create_hpa(zero, DEPLOYMENT, least=1)
    zero.cluster.wait_condition(zero.name, CONDITION, within=90)
    zero.change(replicas={"min": 0, "max": 4})
    throughout(
        lambda: zero.replicas() >= 1 or str(zero.activation()),
        seconds=AFTER + GRACE + 15,
        what="the fleet is the HPA's",
    )
    assert lost(zero.send().results()) == []
    zero.cluster.kubectl("delete", "hpa", "other")
    zero.cluster.wait_condition(zero.name, CONDITION, status="False", within=90)
    zero.wait_asleep(within=AFTER + GRACE + 90)
    assert lost(zero.send().results()) == []


@pytest.mark.long_zero
def test_an_hpa_of_the_aiapi_rests_while_its_scale_is_0(zero: Zero) -> None:
    """As on any target: Kubernetes turns an HPA off where somebody scaled to 0."""
    zero.deploy()
    zero.wait_answering()
    create_hpa(zero, AIAPI, least=2)
    zero.put_to_zero()
    condition = zero.cluster.condition(zero.name, CONDITION)
    assert condition["reason"] in ("SetsTheFloor", "NoneFound"), condition
    assert lost(zero.send({"at": 0, "count": 10}).results()) == []
    zero.wait_phase("Serving")
