"""Settings come from the environment and ignore variables set by Kubernetes."""

import pytest

from aiapi_operator.manifests.pod_policy import PodTemplatePolicy
from aiapi_operator.process.settings import Settings


def test_defaults_are_sufficient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POD_NAME", raising=False)
    settings = Settings()
    assert (settings.port, settings.namespaces, settings.leader_election) == (8080, (), True)
    assert settings.default_image.startswith("ghcr.io/aiapi-dev/service:")
    assert Settings().pod_name != settings.pod_name


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIAPI_OPERATOR_NAMESPACES", "shop, search")
    monkeypatch.setenv("AIAPI_OPERATOR_LOG_FORMAT", "json")
    monkeypatch.setenv("POD_NAME", "aiapi-operator-1")
    monkeypatch.setenv("POD_NAMESPACE", "aiapi-system")
    settings = Settings()
    assert settings.namespaces == ("shop", "search")
    assert settings.log_format == "json"
    assert (settings.pod_name, settings.pod_namespace) == ("aiapi-operator-1", "aiapi-system")


def test_a_service_link_is_not_used_as_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kubernetes sets this for a Service called aiapi-operator."""
    monkeypatch.setenv("AIAPI_OPERATOR_PORT", "tcp://10.0.0.7:8080")
    assert Settings().port == 8080


def test_the_pod_template_policy_is_json_and_strict(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().pod_template_policy == PodTemplatePolicy()
    text = '{"hostPath": true, "serviceAccounts": ["team-a/*"]}'
    monkeypatch.setenv("AIAPI_OPERATOR_POD_TEMPLATE_POLICY", text)
    policy = Settings().pod_template_policy
    assert policy == PodTemplatePolicy(host_path=True, service_accounts=("team-a/*",))
    monkeypatch.setenv("AIAPI_OPERATOR_POD_TEMPLATE_POLICY", '{"hostPaths": true}')
    with pytest.raises(ValueError, match="hostPaths"):
        Settings()


def test_no_activators_run_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings()
    assert not settings.activators
    assert (settings.activator_first_port, settings.activator_last_port) == (20000, 29999)
    monkeypatch.setenv("AIAPI_OPERATOR_ACTIVATORS", "true")
    monkeypatch.setenv("AIAPI_OPERATOR_ACTIVATOR_GRACE", "31")
    with pytest.raises(ValueError, match="less than or equal to 30"):
        Settings()


def test_labels_must_be_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIAPI_OPERATOR_METRICS_FROM", "team=sre, kubernetes.io/metadata.name=mon")
    assert Settings().metrics_from == {"team": "sre", "kubernetes.io/metadata.name": "mon"}
    monkeypatch.setenv("AIAPI_OPERATOR_METRICS_FROM", "monitoring")
    with pytest.raises(ValueError, match="key=value"):
        Settings()


def test_one_shard_is_no_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().own_shard is None
    monkeypatch.setenv("AIAPI_OPERATOR_SHARDS", "3")
    monkeypatch.setenv("AIAPI_OPERATOR_SHARD", "2")
    assert Settings().own_shard == 2


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"shards": 3, "shard": 3}, "shard 3 does not exist"),
        ({"shard": 1}, "shard 1 does not exist"),
        ({"shards": 2, "leader_election": False}, "shards need leader election"),
        ({"shards": 0}, "greater than or equal to 1"),
    ],
)
def test_shards_that_cannot_work_are_refused(given: dict[str, int], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Settings(**given)  # type: ignore[arg-type] # a table of different fields
