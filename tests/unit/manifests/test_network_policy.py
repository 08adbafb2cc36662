from dataclasses import replace

from manifests_support.samples import CONTEXT, aiapi

from aiapi_operator.manifests import network_policy


def test_only_the_operator_may_reach_the_admin_port() -> None:
    spec = network_policy.build(aiapi(), CONTEXT)["spec"]
    everyone, operator = spec["ingress"]
    assert everyone == {"ports": [{"protocol": "TCP", "port": 8000}]}
    assert operator["ports"] == [{"protocol": "TCP", "port": 9000}]
    # One peer with both selectors: the operator's pods in the operator's namespace.
    assert operator["from"] == [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "aiapi-system"}},
            "podSelector": {"matchLabels": {"app.kubernetes.io/name": "aiapi-operator"}},
        }
    ]
    assert spec["policyTypes"] == ["Ingress"]


def test_prometheus_can_be_admitted() -> None:
    context = replace(CONTEXT, metrics_from={"team": "monitoring"})
    admin = network_policy.build(aiapi(), context)["spec"]["ingress"][1]
    assert admin["from"][1:] == [{"namespaceSelector": {"matchLabels": {"team": "monitoring"}}}]
