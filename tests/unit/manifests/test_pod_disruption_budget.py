from manifests_support.samples import aiapi

from aiapi_operator.manifests import pod_disruption_budget


def test_a_fleet_of_one_does_not_block_a_drain() -> None:
    spec = pod_disruption_budget.build(aiapi())["spec"]
    # Kubernetes rounds the percentage up, so it is never zero.
    assert spec["maxUnavailable"] == "10%"
    assert "minAvailable" not in spec
    assert spec["selector"] == {"matchLabels": {"aiapi.dev/name": "assistant"}}
