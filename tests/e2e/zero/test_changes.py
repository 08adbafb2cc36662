"""What users change while an AIApi may be at zero."""

import pytest
from e2e_support.kubectl import eventually
from e2e_support.zero import AFTER, Zero, lost


@pytest.mark.long_zero
def test_deleted_at_zero(zero: Zero) -> None:
    zero.deploy()
    zero.put_to_zero()
    zero.cluster.kubectl("delete", "aiapi", zero.name, "--timeout=60s", timeout=70)
    eventually(lambda: not zero.slices(), within=30, what="its slices are deleted")


@pytest.mark.long_zero
def test_scaled_from_1_to_0_and_back_with_kubectl(zero: Zero) -> None:
    zero.deploy(replicas={"min": 1, "max": 4})
    zero.wait_answering()
    client = zero.send(*({"at": at} for at in (0, AFTER + 20, AFTER + 21)))
    client.wait_for("start")
    zero.cluster.kubectl("scale", f"aiapi/{zero.name}", "--replicas=0")
    zero.wait_phase("Asleep", "Waking", within=AFTER + 60)
    assert lost(client.results()) == []
    zero.wait_phase("Serving")
    zero.put_to_zero()
    zero.cluster.kubectl("scale", f"aiapi/{zero.name}", "--replicas=1")
    client = zero.send({"at": 0, "count": 20}, {"at": 4, "count": 20})
    assert lost(client.results()) == []
    eventually(lambda: not zero.activation(), within=30, what="it may not go to zero any more")
    assert zero.replicas() == 1
    eventually(
        lambda: "aiapi-operator" not in zero.slices(), within=10, what="the slice is removed"
    )
