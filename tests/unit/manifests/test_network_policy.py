from dataclasses import replace

from manifests_support.samples import CONTEXT, aiapi

from aiapi_operator.manifests import network_policy


def test_only_the_operator_and_activators_may_reach_the_admin_port() -> None:
    spec = network_policy.build(aiapi(), CONTEXT)["spec"]
    everyone, own = spec["ingress"]
    assert everyone == {"ports": [{"protocol": "TCP", "port": 8000}]}
    assert own["ports"] == [{"protocol": "TCP", "port": 9000}]
    namespace = {"matchLabels": {"kubernetes.io/metadata.name": "aiapi-system"}}
    operator = {"app.kubernetes.io/name": "aiapi-operator"}
    activator = {
        "app.kubernetes.io/name": "aiapi-activator",
        "app.kubernetes.io/component": "activator",
    }
    # Each peer has both selectors: the operator's pods in the operator's namespace.
    assert own["from"] == [
        {"namespaceSelector": namespace, "podSelector": {"matchLabels": labels}}
        for labels in (operator, activator)
    ]
    assert spec["policyTypes"] == ["Ingress"]


def test_prometheus_can_be_admitted() -> None:
    context = replace(CONTEXT, metrics_from={"team": "monitoring"})
    admin = network_policy.build(aiapi(), context)["spec"]["ingress"][1]
    assert admin["from"][2:] == [{"namespaceSelector": {"matchLabels": {"team": "monitoring"}}}]
