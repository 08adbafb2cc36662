"""Activators that end while they are needed."""

import pytest
from e2e_support.activators import Activators
from e2e_support.kubectl import eventually
from e2e_support.operator import Operator
from e2e_support.zero import AFTER, Zero, lost

HELD = 40


@pytest.mark.long_zero
def test_an_activator_killed_loses_only_what_it_held(zero: Zero, activators: Activators) -> None:
    zero.deploy(import_seconds=8)
    zero.put_to_zero()
    client = zero.send({"at": 0, "count": HELD})
    key = f"{zero.cluster.kubectl.namespace}/{zero.name}"
    activators.wait_holding(key, HELD)
    held = activators.holding(key)
    killed = min(held)
    activators.kill(killed)
    results = client.results()
    assert len(results) == HELD
    assert len(lost(results)) == held[killed], lost(results)
    assert {each.status for each in lost(results)} <= {0}


@pytest.mark.long_zero
def test_without_activators_one_pod_runs(zero: Zero, activators: Activators) -> None:
    zero.deploy()
    zero.put_to_zero()
    names = [each["metadata"]["name"] for each in activators.pods()]
    activators.scale(0)
    activators.kill(*names)
    eventually(lambda: zero.replicas() == 1, within=20, what="the operator wakes one pod")
    zero.wait_phase("Serving")
    # Nobody holds requests until the nodes know the pod.
    zero.wait_answering()
    eventually(
        lambda: "no activator is ready" in zero.activation()["message"],
        within=AFTER + 30,
        what="the status says why the pod stays",
        state=zero.activation,
    )
    assert zero.replicas() == 1


@pytest.mark.long_zero
def test_activators_may_be_replaced_at_zero(zero: Zero, activators: Activators) -> None:
    zero.deploy()
    zero.put_to_zero()
    before = activators.addresses()
    client = zero.send(*({"at": 2 + number} for number in range(20)))
    client.wait_for("start")
    activators.set_env(AIAPI_ACTIVATOR_DRAIN_DELAY="4")
    assert not set(before) & set(activators.addresses())
    assert lost(client.results()) == []


@pytest.mark.long_zero
def test_the_operator_is_down_when_a_request_comes(
    zero: Zero, activators: Activators, operator: Operator
) -> None:
    zero.deploy()
    zero.put_to_zero()
    operator.stop()
    try:
        assert lost(zero.send({"at": 0, "count": 20}).results()) == []
        assert zero.phase() == "Asleep", "nobody has written the status"
    finally:
        operator.start()
    zero.wait_phase("Serving")


@pytest.mark.long_zero
def test_the_operator_goes_down_while_the_fleet_leaves(zero: Zero, operator: Operator) -> None:
    zero.deploy()
    zero.cluster.wait_ready(zero.name)
    zero.wait_phase("Leaving", within=AFTER + 30)
    operator.stop()
    try:
        assert lost(zero.send({"at": 0, "count": 20}).results()) == []
    finally:
        operator.start()
    zero.wait_phase("Serving", "Leaving")
    zero.wait_asleep(within=AFTER + 90)
    assert lost(zero.send().results()) == []
