"""The activators of the installation."""

from e2e_support.cluster import Cluster
from e2e_support.kubectl import eventually
from e2e_support.operator import Operator

SELECTOR = "app.kubernetes.io/component=activator"


def test_two_activators_are_ready(operator: Operator, cluster: Cluster) -> None:
    def ready() -> bool:
        return operator.kubectl.json("deployment", "aiapi-operator-activator")["status"].get(
            "readyReplicas"
        ) == 2  # fmt: skip

    eventually(
        ready,
        within=60,
        what="two activators are ready",
        state=lambda: operator.kubectl.run("logs", "-l", SELECTOR).stdout,
    )
    addresses = {
        pod["status"]["podIP"] for pod in operator.kubectl.json("pods", "-l", SELECTOR)["items"]
    }
    assert len(addresses) == 2
    budget = operator.kubectl.json("poddisruptionbudget", "aiapi-operator-activator")
    assert budget["status"]["expectedPods"] == 2
