"""The activators of the installation."""

from pathlib import Path

from e2e_support.activators import Activators
from e2e_support.cluster import Cluster
from e2e_support.kubectl import eventually
from e2e_support.kubectl_proxy import api_reader
from e2e_support.operator import Operator
from e2e_support.zero import Zero, lost


def test_two_activators_are_ready(operator: Operator, cluster: Cluster) -> None:
    activators = Activators(operator, is_local=True)
    activators.wait_ready(2)
    assert len(set(activators.addresses())) == 2
    budget = operator.kubectl.json("poddisruptionbudget", "aiapi-operator-activator")
    assert budget["status"]["expectedPods"] == 2


def test_an_aiapi_scaled_to_zero_is_woken_by_a_request(
    operator: Operator, cluster: Cluster, kubeconfig: Path
) -> None:
    with api_reader(kubeconfig) as read:
        zero = Zero(cluster=cluster, read=read)
        zero.deploy()
        zero.put_to_zero()
        assert lost(zero.send().results()) == []
        zero.wait_phase("Serving")
        eventually(
            lambda: "aiapi-operator" not in zero.slices(), within=10, what="the slice is removed"
        )
