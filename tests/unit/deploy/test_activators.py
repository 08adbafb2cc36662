"""Tests the chart's activators, and the hook that wakes AIApis before they are uninstalled."""

import re
from typing import Any

import pytest
import yaml
from deploy_support.helm import (
    ROOT,
    of_activators,
    of_kind,
    only,
    refusal,
    rendered,
    without_activators,
)
from manifests_support.kubernetes_types import mismatches
from manifests_support.pod_security import violations

from aiapi_operator.activator import wake_all
from aiapi_operator.manifests.labels import ACTIVATOR_POD_LABELS, OPERATOR_POD_LABELS

NAME = "aiapi-operator-activator"


@pytest.fixture(scope="module")
def default() -> list[dict[str, Any]]:
    return rendered()


@pytest.fixture(scope="module")
def activators(default: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The objects that stay, without the hook."""
    return [each for each in of_activators(default) if not _is_hook(each)]


@pytest.fixture(scope="module")
def hook(default: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for each in of_activators(default) if _is_hook(each)]


def _is_hook(document: dict[str, Any]) -> bool:
    return "helm.sh/hook" in (document["metadata"].get("annotations") or {})


def grants(role: dict[str, Any]) -> set[tuple[str, str]]:
    return {
        (resource, verb)
        for rule in role["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def egress(document: dict[str, Any], labels: dict[str, str]) -> list[dict[str, Any]]:
    """The ports that a policy opens to pods with these labels."""
    return [
        port
        for rule in document["spec"]["egress"]
        for peer in rule.get("to", ())
        if peer["podSelector"]["matchLabels"].items() <= labels.items()
        for port in rule["ports"]
    ]


def test_they_are_highly_available_and_confined(activators: list[dict[str, Any]]) -> None:
    deployment = only(activators, "Deployment")
    assert mismatches(deployment) == []
    spec = deployment["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    pod = spec["template"]["spec"]
    assert violations(pod) == []
    assert [each["labelSelector"] for each in pod["topologySpreadConstraints"]] == (
        [spec["selector"]] * 2
    )
    (container,) = pod["containers"]
    assert container["command"] == ["python", "-m", "aiapi_operator.activator"]
    assert container["resources"]["limits"]["memory"]
    assert only(activators, "PodDisruptionBudget")["spec"] == {
        "maxUnavailable": 1,
        "selector": spec["selector"],
    }


def test_they_have_time_for_their_open_requests(activators: list[dict[str, Any]]) -> None:
    pod = only(activators, "Deployment")["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > 5 + 300


def test_nothing_that_selects_the_operator_selects_them(
    default: list[dict[str, Any]], activators: list[dict[str, Any]]
) -> None:
    labels = only(activators, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert labels.items() >= ACTIVATOR_POD_LABELS.items()
    assert labels["app.kubernetes.io/component"] == "activator"
    selector = only(without_activators(default), "Deployment")["spec"]["selector"]["matchLabels"]
    assert not selector.items() <= labels.items()
    assert not OPERATOR_POD_LABELS.items() <= labels.items()


def test_they_may_only_read_and_scale(activators: list[dict[str, Any]]) -> None:
    read = {(what, verb) for what in ("aiapis", "pods") for verb in ("get", "list", "watch")}
    scale = {("deployments/scale", "get"), ("deployments/scale", "patch")}
    role = only(activators, "ClusterRole")
    assert grants(role) == read | scale
    binding = only(activators, "ClusterRoleBinding")
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    pod = only(activators, "Deployment")["spec"]["template"]["spec"]
    assert [each["name"] for each in binding["subjects"]] == [pod["serviceAccountName"]] == [NAME]
    assert not of_kind(activators, "Role")


def test_everybody_reaches_their_ports_and_they_reach_the_pods(
    default: list[dict[str, Any]], activators: list[dict[str, Any]]
) -> None:
    spec = only(activators, "NetworkPolicy")["spec"]
    everybody, admin = spec["ingress"]
    assert everybody == {"ports": [{"protocol": "TCP", "port": 20000, "endPort": 29999}]}
    assert admin["ports"] == [{"protocol": "TCP", "port": 9090}]
    operator = only(without_activators(default), "NetworkPolicy")
    assert admin["from"][0] == {"podSelector": operator["spec"]["podSelector"]}
    pods = {"app.kubernetes.io/managed-by": "aiapi-operator"}
    to_pods = egress(only(activators, "NetworkPolicy"), pods)
    assert [each["port"] for each in to_pods] == [8000, 9000]
    assert [each["port"] for each in egress(operator, pods)] == [9000, 8000]
    to_activators = egress(operator, spec["podSelector"]["matchLabels"])
    assert [each["port"] for each in to_activators] == [9090, 20000]
    assert to_activators[1]["endPort"] == 29999


def test_the_values_reach_them_and_the_operator() -> None:
    documents = rendered({
        "namespaces": ["shop", "chat"],
        "log": {"level": "debug"},
        "nodeSelector": {"disk": "ssd"},
        "imagePullSecrets": [{"name": "registry"}],
        "podDisruptionBudget": {"enabled": False},
        "metrics": {"serviceMonitor": {"enabled": True, "labels": {"release": "kps"}}},
        "activator": {
            "replicas": 5,
            "ports": {"first": 30000, "last": 30099},
            "graceSeconds": 30,
            "held": {"requests": 100, "seconds": 60},
            "extraEnv": [{"name": "AIAPI_ACTIVATOR_CONNECTIONS", "value": "50"}],
            "resources": {"limits": {"memory": "1Gi"}},
            "topologySpreadConstraints": [],
        },
    })  # fmt: skip
    found = [each for each in of_activators(documents) if not _is_hook(each)]
    deployment = only(found, "Deployment")["spec"]
    assert deployment["replicas"] == 5
    pod = deployment["template"]["spec"]
    (container,) = pod["containers"]
    assert variables(container) == {
        "POD_NAME": "",
        "AIAPI_ACTIVATOR_NAMESPACES": "shop,chat",
        "AIAPI_ACTIVATOR_HELD_REQUESTS": "100",
        "AIAPI_ACTIVATOR_HOLD_SECONDS": "60",
        "AIAPI_ACTIVATOR_LOG_LEVEL": "debug",
        "AIAPI_ACTIVATOR_LOG_FORMAT": "json",
        "AIAPI_ACTIVATOR_CONNECTIONS": "50",
    }
    assert container["resources"] == {
        "requests": {"cpu": "50m", "memory": "96Mi"},
        "limits": {"memory": "1Gi"},
    }
    assert pod["nodeSelector"] == {"disk": "ssd"}
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert "topologySpreadConstraints" not in pod
    assert "annotations" not in deployment["template"]["metadata"]
    assert not of_kind(found, "PodDisruptionBudget")
    assert not of_kind(found, "ClusterRoleBinding")
    bound = [each["metadata"]["namespace"] for each in of_kind(found, "RoleBinding")]
    assert bound == ["shop", "chat"]
    assert only(found, "PodMonitor")["metadata"]["labels"]["release"] == "kps"
    operator = only(without_activators(documents), "Deployment")["spec"]["template"]["spec"]
    given = variables(operator["containers"][0])
    assert given["AIAPI_OPERATOR_ACTIVATORS"] == "true"
    assert given["AIAPI_OPERATOR_ACTIVATOR_FIRST_PORT"] == "30000"
    assert given["AIAPI_OPERATOR_ACTIVATOR_LAST_PORT"] == "30099"
    assert given["AIAPI_OPERATOR_ACTIVATOR_GRACE"] == "30"


def variables(container: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each.get("value", "") for each in container["env"]}


def test_without_them_nothing_of_them_remains() -> None:
    documents = rendered({"activator": {"enabled": False}})
    assert of_activators(documents) == []
    pod = only(documents, "Deployment")["spec"]["template"]["spec"]
    assert variables(pod["containers"][0])["AIAPI_OPERATOR_ACTIVATORS"] == "false"
    policy = yaml.safe_dump(only(documents, "NetworkPolicy"))
    assert "activator" not in policy
    assert "20000" not in policy


def test_invalid_values_are_refused_by_name() -> None:
    error = refusal({
        "activator": {
            "enabled": "yes",
            "ports": {"first": 80, "last": 100000},
            "graceSeconds": 31,
            "held": {"requests": 0, "bytes": 3},
        }
    })  # fmt: skip
    for wrong in ("enabled", "ports/first", "ports/last", "graceSeconds", "held/requests"):
        assert f"at '/activator/{wrong}'" in error
    assert "additional properties 'bytes' not allowed" in error


def test_before_an_uninstallation_aiapis_are_woken(hook: list[dict[str, Any]]) -> None:
    for each in hook:
        annotations = each["metadata"]["annotations"]
        assert annotations["helm.sh/hook"] == "pre-delete"
        assert "hook-succeeded" in annotations["helm.sh/hook-delete-policy"]
    pod = only(hook, "Pod")["spec"]
    assert violations(pod) == []
    (container,) = pod["containers"]
    assert container["command"] == ["python", "-m", "aiapi_operator.activator.wake_all"]
    options = wake_all.main.make_context("wake_all", list(container["args"])).params
    assert options["operator"] == "ops/aiapi-operator"
    assert options["within"] < pod["activeDeadlineSeconds"]
    order = {
        each["kind"]: int(each["metadata"]["annotations"]["helm.sh/hook-weight"]) for each in hook
    }
    assert order["ServiceAccount"] < order["ClusterRoleBinding"] < order["Pod"]


def test_the_hook_may_do_what_it_does(hook: list[dict[str, Any]]) -> None:
    assert grants(only(hook, "ClusterRole")) == {
        ("aiapis", "list"),
        ("pods", "list"),
        ("deployments/scale", "get"),
        ("deployments/scale", "patch"),
        ("endpointslices", "delete"),
    }
    role = only(hook, "Role")
    assert role["rules"][0]["resourceNames"] == ["aiapi-operator"]
    pod = only(hook, "Pod")["spec"]
    for kind in ("RoleBinding", "ClusterRoleBinding"):
        (subject,) = only(hook, kind)["subjects"]
        assert subject["name"] == pod["serviceAccountName"]
    assert only(hook, "RoleBinding")["roleRef"]["name"] == role["metadata"]["name"]
    assert (
        only(hook, "ClusterRoleBinding")["roleRef"]["name"]
        == only(hook, "ClusterRole")["metadata"]["name"]
    )


@pytest.mark.parametrize("name", ["aiapi", "a-release-with-a-long-name-that-fills-all-there-is-53"])
def test_roles_and_bindings_agree_on_long_names(name: str) -> None:
    documents = of_activators(rendered({"namespaces": ["shop"]}, name=name))
    roles = {
        (each["kind"], each["metadata"]["name"])
        for kind in ("ClusterRole", "Role")
        for each in of_kind(documents, kind)
    }
    for binding in of_kind(documents, "RoleBinding"):
        assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) in roles
    for each in documents:
        assert len(each["metadata"]["name"]) <= 63


def test_deploy_has_no_hooks() -> None:
    text = (ROOT / "deploy" / "operator.yaml").read_text()
    assert not re.search("helm.sh/hook", text)
    assert not of_kind(list(yaml.safe_load_all(text)), "Pod")
