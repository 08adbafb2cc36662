"""A rollout while the load is twice as high for 15 s."""

import json

import pytest
from e2e_support.fault import Row, Steady
from e2e_support.fault_fleet import NAME, RATE
from e2e_support.kubectl import eventually
from e2e_support.load import start_load

ROW = Row(
    fault="rollout during a burst",
    user="nothing: a pod drains before it ends",
    operator="Grows for the burst while pods are replaced; new pods get their workers before they"
    " are ready",
)


@pytest.mark.timeout(300)
def test_a_rollout_in_a_burst(steady: Steady) -> None:
    cluster = steady.cluster
    with steady.fault(grows=8):
        burst = start_load(cluster, service=NAME, rate=RATE, seconds=15)
        burst.wait_started()
        now = {"metadata": {"annotations": {"example.com/rolled": burst.pod}}}
        body = json.dumps({"spec": {"podTemplate": now}})
        before = {pod["metadata"]["name"] for pod in cluster.pods(NAME)}
        cluster.kubectl("patch", "aiapi", NAME, "--type=merge", "-p", body)
        eventually(
            lambda: not before & {pod["metadata"]["name"] for pod in cluster.pods(NAME)},
            within=90,
            what="all pods are new",
        )
        assert burst.wait(within=60).failed == 0
