"""The whole way once: to zero without requests, and back with the first one."""

import pytest
from e2e_support.activators import Activators
from e2e_support.kubectl import eventually
from e2e_support.zero import AFTER, GRACE, Zero, lost

OPERATOR = "aiapi-operator"


@pytest.mark.long_zero
def test_the_first_request_at_zero_is_answered(zero: Zero, activators: Activators) -> None:
    zero.deploy()
    zero.cluster.wait_ready(zero.name)
    zero.wait_phase("Leaving", within=AFTER + 30)
    assert zero.slices()[OPERATOR] == activators.addresses()
    zero.wait_asleep(within=GRACE + 60)

    ready = zero.cluster.wait_condition(zero.name, "Ready")
    assert ready["reason"] == "Asleep"
    assert "the next request starts pods" in ready["message"]
    listed = zero.cluster.kubectl("get", "aiapi", zero.name).splitlines()[1].split()
    assert listed[:4] == [zero.name, "True", "1", "0"]

    assert lost(zero.send().results()) == []
    zero.wait_phase("Serving")
    eventually(lambda: OPERATOR not in zero.slices(), within=10, what="the slice is removed")
    assert zero.cluster.wait_condition(zero.name, "Ready")["reason"] != "Asleep"
    assert {"Asleep", "Waking"} <= _events(zero)


def _events(zero: Zero) -> set[str]:
    """The reasons of the AIApi's Events."""
    events = zero.cluster.kubectl.json("events", "--field-selector=involvedObject.kind=AIApi")
    return {each["reason"] for each in events["items"]}
