"""Tests what the chart renders, refuses and documents."""

import json
from typing import Any

import pytest
import yaml
from deploy_support.helm import (
    CHART,
    of_kind,
    only,
    refusal,
    run,
    script,
    without_activators,
)
from deploy_support.helm import rendered as rendered_with_activators
from manifests_support.pod_security import violations

from aiapi_operator.cluster.shards import lease_labels, lease_name
from aiapi_operator.manifests.pod_policy import PodTemplatePolicy
from aiapi_operator.process.settings import Settings

DEFAULTS: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())


def rendered(*args: Any, **options: Any) -> list[dict[str, Any]]:
    """What the chart renders for the operator. test_activators.py tests the rest."""
    return without_activators(rendered_with_activators(*args, **options))


@pytest.fixture(scope="module")
def default() -> list[dict[str, Any]]:
    return rendered()


@pytest.fixture(scope="module")
def everything() -> list[dict[str, Any]]:
    """All switches on, and a value for everything that is empty by default."""
    switched = {"enabled": True, "labels": {"release": "kps"}}
    return rendered({
        "fullnameOverride": "sizer",
        "commonLabels": {"team": "platform"},
        "image": {"digest": "sha256:" + "0" * 64},
        "imagePullSecrets": [{"name": "registry"}],
        "runtime": {
            "delivery": "InitContainer",
            "image": {"repository": "registry.example.com/runtime", "pullPolicy": "Always"},
        },
        "namespaces": ["shop", "chat"],
        "log": {"level": "debug", "format": "text"},
        "console": {
            "enabled": True,
            "host": "0.0.0.0",
            "allowedHosts": ["sizer.example.com"],
            "from": [{"podSelector": {"matchLabels": {"app": "proxy"}}}],
        },
        "extraEnv": [{"name": "TZ", "value": "UTC"}],
        "serviceAccount": {"annotations": {"a": "b"}},
        "podAnnotations": {"note": "1"},
        "podLabels": {"tier": "control"},
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "control", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "networkPolicy": {"from": [], "extraEgress": [{"ports": [{"port": 3128}]}]},
        "metrics": {
            "podsFrom": {"kubernetes.io/metadata.name": "monitoring"},
            "serviceMonitor": switched,
            "podMonitor": switched,
            "prometheusRule": {**switched, "disabled": ["AIApiScalingLimited"]},
            "dashboards": {"enabled": True, "annotations": {"grafana_folder": "AI"}},
        },
    })  # fmt: skip


def pod(documents: list[dict[str, Any]]) -> dict[str, Any]:
    spec: dict[str, Any] = only(documents, "Deployment")["spec"]["template"]["spec"]
    return spec


def env(documents: list[dict[str, Any]]) -> dict[str, str]:
    container = pod(documents)["containers"][0]
    return {each["name"]: each.get("value", "") for each in container["env"]}


def test_strict_helm_lint_passes() -> None:
    linted = run("lint", "--strict", str(CHART))
    assert linted.returncode == 0, linted.stdout


def test_defaults_are_highly_available_and_confined(default: list[dict[str, Any]]) -> None:
    assert only(default, "Deployment")["spec"]["replicas"] == 2
    assert only(default, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    spec = pod(default)
    assert spec["priorityClassName"] == only(default, "PriorityClass")["metadata"]["name"]
    assert only(default, "PriorityClass")["preemptionPolicy"] == "Never"
    selector = only(default, "Deployment")["spec"]["selector"]
    spreads = spec["topologySpreadConstraints"]
    assert [each["labelSelector"] for each in spreads] == [selector, selector]
    container = spec["containers"][0]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["resources"]["limits"]["memory"] == "512Mi"
    policy = only(default, "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["podSelector"] == selector


def test_another_priority_is_another_priority_class() -> None:
    """Neither the value nor the policy of a PriorityClass can change."""
    names = set()
    for change in ({}, {"value": 5}, {"preemptionPolicy": "PreemptLowerPriority"}):
        documents = rendered({"priorityClass": change})
        made = only(documents, "PriorityClass")
        assert change.items() <= made.items()
        assert pod(documents)["priorityClassName"] == made["metadata"]["name"]
        names.add(made["metadata"]["name"])
    assert len(names) == 3
    assert "preemptionPolicy" in refusal({"priorityClass": {"preemptionPolicy": "Sometimes"}})


def test_a_rollout_needs_no_room_for_one_more_pod(default: list[dict[str, Any]]) -> None:
    strategy = only(default, "Deployment")["spec"]["strategy"]
    assert strategy == {"rollingUpdate": {"maxUnavailable": 1}}
    assert "strategy" not in only(rendered({"replicas": 1}), "Deployment")["spec"]


def test_image_pull_secrets_reach_the_operator_and_its_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secrets = [{"name": "mirror"}, {"name": "spare"}]
    documents = rendered({"imagePullSecrets": secrets})
    assert pod(documents)["imagePullSecrets"] == secrets
    monkeypatch.setenv(
        "AIAPI_OPERATOR_IMAGE_PULL_SECRETS", env(documents)["AIAPI_OPERATOR_IMAGE_PULL_SECRETS"]
    )
    assert Settings().image_pull_secrets == ("mirror", "spare")


def test_the_end_of_a_container_is_explained_in_its_status(default: list[dict[str, Any]]) -> None:
    container = pod(default)["containers"][0]
    assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"


def test_every_pod_meets_the_restricted_standard(default: list[dict[str, Any]]) -> None:
    for spec in (pod(default), only(default, "Pod")["spec"]):
        assert violations(spec) == []


def test_pods_have_scrape_annotations_unless_a_service_monitor_is_enabled(
    default: list[dict[str, Any]], everything: list[dict[str, Any]]
) -> None:
    template = only(default, "Deployment")["spec"]["template"]
    assert template["metadata"]["annotations"]["prometheus.io/port"] == "8080"
    assert not of_kind(default, "ServiceMonitor")
    template = only(everything, "Deployment")["spec"]["template"]
    assert template["metadata"]["annotations"] == {"note": "1"}
    monitor = only(everything, "ServiceMonitor")
    assert monitor["metadata"]["labels"]["release"] == "kps"
    assert monitor["spec"]["endpoints"][0]["honorLabels"] is True
    service = only(everything, "Service")
    assert (
        service["metadata"]["labels"].items() >= monitor["spec"]["selector"]["matchLabels"].items()
    )


def test_a_pod_monitor_requires_that_prometheus_may_reach_the_pods(
    everything: list[dict[str, Any]],
) -> None:
    monitor = only(everything, "PodMonitor")["spec"]
    assert monitor["namespaceSelector"] == {"matchNames": ["shop", "chat"]}
    (endpoint,) = monitor["podMetricsEndpoints"]
    (relabeling,) = endpoint["relabelings"]
    assert relabeling["sourceLabels"] == ["__meta_kubernetes_pod_annotation_aiapi_dev_admin_scheme"]
    assert relabeling["targetLabel"] == "__scheme__"
    assert endpoint["tlsConfig"] == {"insecureSkipVerify": True}
    assert (
        env(everything)["AIAPI_OPERATOR_METRICS_FROM"] == "kubernetes.io/metadata.name=monitoring"
    )
    assert "requires metrics.podsFrom" in refusal({"metrics": {"podMonitor": {"enabled": True}}})


def test_tls_and_a_strict_policy_are_on_by_default() -> None:
    given = env(rendered())
    assert given["AIAPI_OPERATOR_ADMIN_TLS"] == "true"
    policy = PodTemplatePolicy.model_validate_json(given["AIAPI_OPERATOR_POD_TEMPLATE_POLICY"])
    assert policy == PodTemplatePolicy()
    allowed = env(rendered({"podTemplatePolicy": {"hostPath": True, "serviceAccounts": ["*/x"]}}))
    policy = PodTemplatePolicy.model_validate_json(allowed["AIAPI_OPERATOR_POD_TEMPLATE_POLICY"])
    assert policy == PodTemplatePolicy(host_path=True, service_accounts=("*/x",))
    assert "hostpath" in refusal({"podTemplatePolicy": {"hostpath": True}})


def test_the_operator_reads_every_environment_variable(
    everything: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = env(everything)
    known = {f"AIAPI_OPERATOR_{name.upper()}" for name in Settings.model_fields}
    assert {name for name in given if name.startswith("AIAPI_")} <= known
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.namespaces == ("shop", "chat")
    assert settings.metrics_from == {"kubernetes.io/metadata.name": "monitoring"}
    assert (settings.console, settings.console_host) == (True, "0.0.0.0")
    assert settings.console_allowed_hosts == ("sizer.example.com",)
    assert settings.lease_name == only(everything, "Lease")["metadata"]["name"] == "sizer"


def test_the_runtime_of_the_chart_reaches_the_operator(
    default: list[dict[str, Any]], everything: list[dict[str, Any]]
) -> None:
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    assert _runtime(default) == {
        "IMAGE": f"ghcr.io/aiapi-dev/runtime:{version}",
        "PULL_POLICY": "IfNotPresent",
        "DELIVERY": "Auto",
    }
    assert _runtime(everything) == {
        "IMAGE": f"registry.example.com/runtime:{version}",
        "PULL_POLICY": "Always",
        "DELIVERY": "InitContainer",
    }
    error = refusal({
        "runtime": {"delivery": "Sidecar", "image": {"pullPolicy": "Sometimes", "name": "x"}}
    })  # fmt: skip
    assert "at '/runtime/delivery'" in error
    assert "at '/runtime/image/pullPolicy'" in error
    assert "additional properties 'name' not allowed" in error


def _runtime(documents: list[dict[str, Any]]) -> dict[str, str]:
    prefix = "AIAPI_OPERATOR_RUNTIME_"
    return {
        name.removeprefix(prefix): value
        for name, value in env(documents).items()
        if name.startswith(prefix)
    }


def test_the_console_is_off_by_default_and_open_to_named_peers_only(
    default: list[dict[str, Any]], everything: list[dict[str, Any]]
) -> None:
    assert not [name for name in env(default) if "CONSOLE" in name]
    (rule,) = only(everything, "NetworkPolicy")["spec"]["ingress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": 8081}]
    assert rule["from"] == [{"podSelector": {"matchLabels": {"app": "proxy"}}}]


def test_permissions_are_granted_in_the_listed_namespaces_only(
    everything: list[dict[str, Any]],
) -> None:
    assert not of_kind(everything, "ClusterRoleBinding")
    bound = [each["metadata"]["namespace"] for each in of_kind(everything, "RoleBinding")]
    assert sorted(bound) == ["chat", "ops", "shop", "shop"]  # the last one is for helm test


def test_every_value_is_rendered(everything: list[dict[str, Any]]) -> None:
    spec = pod(everything)
    assert spec["containers"][0]["image"].endswith("@sha256:" + "0" * 64)
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert spec["nodeSelector"] == {"kubernetes.io/os": "linux"}
    assert spec["tolerations"] == [{"key": "control", "operator": "Exists"}]
    assert "affinity" in spec
    assert env(everything)["TZ"] == "UTC"
    labels = only(everything, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert labels["tier"] == "control"
    assert labels["app.kubernetes.io/name"] == "aiapi-operator"
    for each in everything:
        if each["kind"] not in ("CustomResourceDefinition", "Pod"):
            assert each["metadata"]["labels"]["team"] == "platform", each["kind"]


def test_disabled_objects_are_not_rendered() -> None:
    off = rendered(
        {
            "replicas": 1,
            "crds": {"install": False},
            "rbac": {"create": False},
            "serviceAccount": {"create": False, "name": "own"},
            "priorityClass": {"create": False},
            "networkPolicy": {"enabled": False},
            "metrics": {"annotations": False},
        },
        "--skip-tests",
    )
    assert sorted(each["kind"] for each in off) == ["Deployment", "Lease"]
    assert pod(off)["serviceAccountName"] == "own"
    assert "priorityClassName" not in pod(off)
    assert "annotations" not in only(off, "Deployment")["spec"]["template"]["metadata"]


def test_the_crd_is_kept_by_default(default: list[dict[str, Any]]) -> None:
    crd = only(default, "CustomResourceDefinition")
    assert crd["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    (unkept,) = of_kind(rendered({"crds": {"keep": False}}), "CustomResourceDefinition")
    assert "annotations" not in unkept["metadata"]


def test_rules_and_dashboards_are_rendered_unchanged(everything: list[dict[str, Any]]) -> None:
    rules = yaml.safe_load((CHART / "files" / "rules.yaml").read_text())
    brought = only(everything, "PrometheusRule")["spec"]["groups"]
    for group in rules["groups"]:
        group["rules"] = [r for r in group["rules"] if r.get("alert") != "AIApiScalingLimited"]
    assert brought == rules["groups"]
    files = sorted((CHART / "files" / "dashboards").glob("*.json"))
    maps = of_kind(everything, "ConfigMap")
    assert len(maps) == len(files) > 0
    for made in maps:
        assert made["metadata"]["labels"]["grafana_dashboard"] == "1"
        ((name, text),) = made["data"].items()
        original = CHART / "files" / "dashboards" / name.removeprefix("aiapi-")
        assert json.loads(text) == json.loads(original.read_text())


def test_invalid_values_are_refused_by_name() -> None:
    error = refusal({
        "replicaCount": 2,
        "replicas": "two",
        "image": {"repo": "x", "pullPolicy": "Sometimes", "digest": "latest"},
        "log": {"level": "loud"},
        "namespaces": ["Shop"],
        "resources": {"limit": {}, "limits": {"memory": "lots"}},
        "tolerations": [{"kee": "x"}],
        "metrics": {"podMonitor": {"interval": "often"}, "prometheusRule": {"disabled": ["x"]}},
        "podDisruptionBudget": {"maxUnavailable": "some"},
        "podLabels": {"app.kubernetes.io/name": "x"},
        "networkPolicy": {"apiServerPorts": []},
        "console": {"port": 0},
        "test": {"timeout": 3},
    })  # fmt: skip
    for unknown in ("'replicaCount'", "'repo'", "'limit'", "'kee'", "'timeout'"):
        assert f"additional properties {unknown} not allowed" in error
    for wrong in (
        "/replicas",
        "/image/pullPolicy",
        "/image/digest",
        "/log/level",
        "/namespaces/0",
        "/resources/limits/memory",
        "/metrics/podMonitor/interval",
        "/metrics/prometheusRule/disabled/0",
        "/podDisruptionBudget/maxUnavailable",
        "/podLabels",
        "/networkPolicy/apiServerPorts",
        "/console/port",
    ):
        assert f"at '{wrong}'" in error


def _paths(schema: dict[str, Any], above: str = "") -> set[str]:
    found = set()
    for name, each in schema.get("properties", {}).items():
        path = f"{above}{name}"
        found |= {path} | _paths(each, f"{path}.")
    return found


def _keys(values: dict[str, Any], above: str = "") -> set[str]:
    found = set()
    for name, each in values.items():
        path = f"{above}{name}"
        found |= {path} | (_keys(each, f"{path}.") if isinstance(each, dict) else set())
    return found


def test_the_schema_matches_the_values() -> None:
    kubernetes_types = ("podSecurityContext", "securityContext", "affinity")
    known = {
        path
        for path in _paths(SCHEMA)
        if path != "global" and not path.startswith(tuple(f"{each}." for each in kubernetes_types))
    }
    free = (
        "resources.",
        "activator.resources.",
        "metrics.dashboards.labels.",
        *(f"{each}." for each in kubernetes_types),
    )
    assert {key for key in _keys(DEFAULTS) if not key.startswith(free)} == known


def test_the_readme_documents_every_value() -> None:
    document = script("charts/document.py")
    readme = (CHART / "README.md").read_text()
    made = document.documented(readme, (CHART / "values.yaml").read_text())
    assert readme == made, "run 'make chart-docs'"


def test_a_value_without_a_comment_is_an_error() -> None:
    document = script("charts/document.py")
    text = "# -- One line.\na: 1\ngroup:\n  # -- Two\n  # lines.\n  b: []\n"
    assert [each.description for each in document.values(text)] == ["One line.", "Two lines."]
    with pytest.raises(document.UndocumentedError, match=r"group\.c"):
        list(document.values(text + "  c: 2\n"))


@pytest.mark.parametrize(
    ("release", "name"),
    [
        ("aiapi", "aiapi-operator"),
        ("aiapi-operator", "aiapi-operator"),
        ("team", "team-aiapi-operator"),
    ],
)
def test_object_names_contain_the_chart_name(release: str, name: str) -> None:
    assert only(rendered(name=release), "Deployment")["metadata"]["name"] == name


def test_each_shard_has_its_deployment_lease_and_budget() -> None:
    documents = rendered({"shards": 3, "activator": {"enabled": False}}, "--skip-tests")
    names = [f"aiapi-operator-shard-{number}" for number in range(3)]
    deployments = of_kind(documents, "Deployment")
    assert [each["metadata"]["name"] for each in deployments] == names
    budgets = of_kind(documents, "PodDisruptionBudget")
    assert [each["metadata"]["name"] for each in budgets] == names
    for number, deployment in enumerate(deployments):
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        env = {each["name"]: each.get("value") for each in container["env"]}
        assert env["AIAPI_OPERATOR_SHARD"] == str(number)
        assert env["AIAPI_OPERATOR_SHARDS"] == "3"
        assert env["AIAPI_OPERATOR_LEASE_NAME"] == "aiapi-operator"
        selector = deployment["spec"]["selector"]["matchLabels"]
        assert selector["aiapi.dev/shard"] == str(number)
        assert deployment["spec"]["template"]["metadata"]["labels"].items() >= selector.items()
        assert budgets[number]["spec"]["selector"]["matchLabels"] == selector
    leases = {each["metadata"]["name"]: each for each in of_kind(documents, "Lease")}
    assert set(leases) == {"aiapi-operator", *names}
    for number, name in enumerate(names):
        assert lease_labels("aiapi-operator", number).items() <= (
            leases[name]["metadata"]["labels"].items()
        )
        assert lease_name("aiapi-operator", number) == name


def test_one_shard_has_no_label_and_no_variable() -> None:
    deployment = only(without_activators(rendered()), "Deployment")
    assert "shard" not in yaml.safe_dump(deployment).lower()


def test_shards_and_activators_exclude_each_other() -> None:
    assert "set activator.enabled=false, or shards=1" in refusal({"shards": 2})
