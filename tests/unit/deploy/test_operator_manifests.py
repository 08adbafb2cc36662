"""Tests deploy/: permissions, the operator's pod and the CRD."""

import subprocess
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pytest
import yaml
from deploy_support.helm import (
    CHART,
    ROOT,
    helm,
    of_kind,
    only,
    rendered,
    script,
    without_activators,
)
from e2e_support.kubectl import BINARY
from manifests_support.kubernetes_types import mismatches
from manifests_support.pod_security import violations

from aiapi_operator.cluster.permissions import (
    PERMISSIONS,
    SHARDED_PERMISSIONS,
    OwnObject,
    Permission,
    Scope,
)
from aiapi_operator.manifests.labels import OPERATOR_POD_LABELS

Grants = dict[tuple[str, str], set[str]]
USER_ROLE_SUFFIXES = ("-view", "-edit")
"""Name suffixes of the ClusterRoles for users. The operator is not bound to them."""


def everything() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((ROOT / "deploy" / "operator.yaml").read_text()))


def deployed() -> list[dict[str, Any]]:
    return without_activators(everything())


def chart() -> list[dict[str, Any]]:
    return without_activators(rendered(None, "--no-hooks"))


def operator_role(documents: list[dict[str, Any]]) -> dict[str, Any]:
    roles = of_kind(documents, "ClusterRole")
    (own,) = [role for role in roles if not role["metadata"]["name"].endswith(USER_ROLE_SUFFIXES)]
    return own


def granted(role: dict[str, Any]) -> Grants:
    grants: Grants = defaultdict(set)
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                grants[group, resource] |= set(rule["verbs"])
    return dict(grants)


def used(scope: Scope, permissions: Sequence[Permission] = PERMISSIONS) -> Grants:
    grants: Grants = defaultdict(set)
    for permission in permissions:
        if permission.scope is scope:
            grants[permission.group, permission.resource] |= permission.verbs
    return dict(grants)


@pytest.mark.parametrize("documents", [chart, deployed], ids=["chart", "deploy"])
def test_the_operator_has_exactly_the_permissions_it_uses(documents: Any) -> None:
    assert granted(operator_role(documents())) == used(Scope.WATCHED)
    assert granted(only(documents(), "Role")) == used(Scope.OPERATOR)


def test_shards_need_two_more_permissions() -> None:
    documents = rendered({"shards": 3, "activator": {"enabled": False}}, "--skip-tests")
    permissions = (*PERMISSIONS, *SHARDED_PERMISSIONS)
    role = granted(operator_role(documents))
    assert role["aiapi.dev", "aiapis"] == used(Scope.WATCHED, permissions)["aiapi.dev", "aiapis"]
    leases = granted(only(documents, "Role"))["coordination.k8s.io", "leases"]
    assert leases == used(Scope.OPERATOR, permissions)["coordination.k8s.io", "leases"]


def test_no_permission_is_a_wildcard() -> None:
    for role in of_kind(everything(), "ClusterRole") + of_kind(everything(), "Role"):
        for rule in role["rules"]:
            assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]


def test_only_its_own_lease_and_ca_can_be_read_and_updated() -> None:
    pod = only(deployed(), "Deployment")["spec"]["template"]["spec"]
    env = {each["name"]: each.get("value") for each in pod["containers"][0]["env"]}
    own = {
        OwnObject.LEASE: only(deployed(), "Lease")["metadata"]["name"],
        OwnObject.ADMIN_CA: env["AIAPI_OPERATOR_ADMIN_CA_SECRET"],
    }
    rules = only(deployed(), "Role")["rules"]
    for each in (one for one in PERMISSIONS if one.only is not None):
        names = [rule.get("resourceNames") for rule in rules if each.verbs == set(rule["verbs"])]
        assert [own[each.only]] in names
    unnamed = [rule["verbs"] for rule in rules if "resourceNames" not in rule]
    assert unnamed == [["create"], ["create"], ["list"]]


def test_the_operator_pod_is_restricted_and_selected_by_network_policies() -> None:
    deployment = only(deployed(), "Deployment")
    assert mismatches(deployment) == []
    template = deployment["spec"]["template"]
    assert violations(template["spec"]) == []
    assert template["metadata"]["labels"].items() >= OPERATOR_POD_LABELS.items()


def test_bindings_name_the_service_account_of_the_pod() -> None:
    account = only(deployed(), "Deployment")["spec"]["template"]["spec"]["serviceAccountName"]
    roles = {"ClusterRole": operator_role(deployed()), "Role": only(deployed(), "Role")}
    for kind in ("RoleBinding", "ClusterRoleBinding"):
        binding = only(deployed(), kind)
        role = roles[binding["roleRef"]["kind"]]
        assert binding["roleRef"]["name"] == role["metadata"]["name"]
        assert binding["subjects"] == [
            {"kind": "ServiceAccount", "name": account, "namespace": "aiapi-system"}
        ]


def test_the_chart_and_deploy_contain_the_generated_crd() -> None:
    generated = (ROOT / "crds" / "aiapis.aiapi.dev.yaml").read_text()
    assert (CHART / "files" / "aiapis.aiapi.dev.yaml").read_text() == generated
    assert (ROOT / "deploy" / "crd.yaml").read_text() == generated, "run 'make crds'"


def test_deploy_is_rendered_from_the_chart() -> None:
    kept = (ROOT / "deploy" / "operator.yaml").read_text()
    assert kept == script("deploy/render.py").render(helm()), "run 'make deploy'"


def test_kubectl_builds_the_kustomize_base() -> None:
    built = subprocess.run(
        [BINARY, "kustomize", str(ROOT / "deploy")], capture_output=True, text=True, check=True
    )
    kinds = [each["kind"] for each in yaml.safe_load_all(built.stdout)]
    assert sorted(kinds) == sorted(
        ["CustomResourceDefinition", *(each["kind"] for each in everything())]
    )


def test_versions_agree() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    container = only(deployed(), "Deployment")["spec"]["template"]["spec"]["containers"][0]
    env = {variable["name"]: variable.get("value") for variable in container["env"]}
    version = chart["appVersion"]
    assert f'version = "{version}"' in (ROOT / "pyproject.toml").read_text()
    assert container["image"] == f"ghcr.io/aiapi-dev/operator:{version}"
    assert env["AIAPI_OPERATOR_DEFAULT_IMAGE"] == f"ghcr.io/aiapi-dev/service:{version}"
    images = yaml.safe_load(chart["annotations"]["artifacthub.io/images"])
    assert [each["image"] for each in images] == [
        f"ghcr.io/aiapi-dev/{name}:{version}" for name in ("operator", "service", "runtime")
    ]
