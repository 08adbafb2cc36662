"""What installs the operator, with Helm and without: its rights, its pod, the CRD it brings."""

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from manifests_support.kubernetes_types import mismatches
from manifests_support.pod_security import violations

from aiapi_operator.cluster.permissions import PERMISSIONS, Scope
from aiapi_operator.manifests.labels import OPERATOR_POD_LABELS

ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts" / "aiapi-operator"
Rights = dict[tuple[str, str], set[str]]


def chart_rbac() -> list[dict[str, Any]]:
    """The chart's roles; its templating is confined to names and labels."""
    text = (CHART / "templates" / "rbac.yaml").read_text()
    without_flow = re.sub(r"^\{\{- (range|else|end).*\n", "", text, flags=re.MULTILINE)
    return list(yaml.safe_load_all(re.sub(r"\{\{.*?\}\}", "templated", without_flow)))


def deployed() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((ROOT / "deploy" / "operator.yaml").read_text()))


def only(documents: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = [document for document in documents if document["kind"] == kind]
    return found


def granted(role: dict[str, Any]) -> Rights:
    rights: Rights = defaultdict(set)
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                rights[group, resource] |= set(rule["verbs"])
    return dict(rights)


def used(scope: Scope) -> Rights:
    rights: Rights = defaultdict(set)
    for right in PERMISSIONS:
        if right.scope is scope:
            rights[right.group, right.resource] |= right.verbs
    return dict(rights)


@pytest.mark.parametrize("documents", [chart_rbac(), deployed()], ids=["chart", "deploy"])
def test_the_operator_may_do_what_it_does_and_no_more(documents: list[dict[str, Any]]) -> None:
    assert granted(only(documents, "ClusterRole")) == used(Scope.WATCHED)
    assert granted(only(documents, "Role")) == used(Scope.OPERATOR)


def test_the_operators_pod_is_restricted_and_found_by_the_network_policies() -> None:
    deployment = only(deployed(), "Deployment")
    assert mismatches(deployment) == []
    template = deployment["spec"]["template"]
    assert violations(template["spec"]) == []
    assert template["metadata"]["labels"].items() >= OPERATOR_POD_LABELS.items()


def test_bindings_lead_to_the_service_account_of_the_pod() -> None:
    account = only(deployed(), "Deployment")["spec"]["template"]["spec"]["serviceAccountName"]
    for kind in ("RoleBinding", "ClusterRoleBinding"):
        binding = only(deployed(), kind)
        role = only(deployed(), binding["roleRef"]["kind"])
        assert binding["roleRef"]["name"] == role["metadata"]["name"]
        assert binding["subjects"] == [
            {"kind": "ServiceAccount", "name": account, "namespace": "aiapi-system"}
        ]


def test_the_chart_brings_the_crd_as_it_is_generated() -> None:
    brought = CHART / "files" / "aiapis.aiapi.dev.yaml"
    assert brought.read_text() == (ROOT / "crds" / "aiapis.aiapi.dev.yaml").read_text()


def test_versions_agree() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    container = only(deployed(), "Deployment")["spec"]["template"]["spec"]["containers"][0]
    env = {variable["name"]: variable.get("value") for variable in container["env"]}
    version = chart["appVersion"]
    assert f'version = "{version}"' in (ROOT / "pyproject.toml").read_text()
    assert container["image"] == f"ghcr.io/aiapi-dev/operator:{version}"
    assert env["AIAPI_OPERATOR_DEFAULT_IMAGE"] == f"ghcr.io/aiapi-dev/service:{version}"
