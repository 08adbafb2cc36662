"""Tests the OLM bundle: it is current, complete, and grants what the chart grants."""

import json
import re
from typing import Any

import pytest
import yaml
from deploy_support.helm import of_kind, script
from manifests_support.pod_security import violations
from release_support.workflow import ROOT

from aiapi_operator.api.aiapi import AIApi
from aiapi_operator.cluster.permissions import PERMISSIONS, Scope

BUNDLE = ROOT / "packaging" / "olm"
render = script("packaging/olm/render.py")


def read(path: str) -> Any:
    return yaml.safe_load((BUNDLE / path).read_text())


@pytest.fixture(scope="module")
def service_version() -> dict[str, Any]:
    return dict(read("manifests/aiapi-operator.clusterserviceversion.yaml"))


@pytest.fixture(scope="module")
def install(service_version: dict[str, Any]) -> dict[str, Any]:
    return dict(service_version["spec"]["install"]["spec"])


def test_the_bundle_is_rendered_from_the_chart() -> None:
    made = render.files()
    for path, text in made.items():
        assert (BUNDLE / path).read_text() == text, "run: make crds"
    kept = {f"{each.parent.name}/{each.name}" for each in BUNDLE.glob("m*/*.yaml")}
    assert kept == {path for path in made if "/" in path}


def test_name_and_version_are_those_of_the_chart(service_version: dict[str, Any]) -> None:
    chart = yaml.safe_load((ROOT / "charts" / "aiapi-operator" / "Chart.yaml").read_text())
    assert service_version["metadata"]["name"] == f"aiapi-operator.v{chart['version']}"
    assert service_version["spec"]["version"] == chart["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", service_version["spec"]["minKubeVersion"])
    assert f">={service_version['spec']['minKubeVersion']}-0" == chart["kubeVersion"]


def test_the_owned_crd_is_in_the_bundle(service_version: dict[str, Any]) -> None:
    crd = read("manifests/aiapis.aiapi.dev.crd.yaml")
    (owned,) = service_version["spec"]["customresourcedefinitions"]["owned"]
    assert owned["name"] == crd["metadata"]["name"]
    assert owned["kind"] == crd["spec"]["names"]["kind"]
    assert [owned["version"]] == [each["name"] for each in crd["spec"]["versions"]]


def test_examples_are_valid_aiapis(service_version: dict[str, Any]) -> None:
    examples = json.loads(service_version["metadata"]["annotations"]["alm-examples"])
    assert len(examples) == 2
    for example in examples:
        AIApi.model_validate(example)


@pytest.mark.parametrize(
    ("field", "scope"), [("clusterPermissions", Scope.WATCHED), ("permissions", Scope.OPERATOR)]
)
def test_permissions_are_those_that_the_operator_uses(
    field: str, scope: Scope, install: dict[str, Any]
) -> None:
    (granted,) = [e for e in install[field] if e["serviceAccountName"] == "aiapi-operator"]
    found = {
        (group, resource, verb)
        for rule in granted["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert found == {
        (each.group, each.resource, verb)
        for each in PERMISSIONS
        if each.scope is scope
        for verb in each.verbs
    }


def test_the_deployments_are_those_of_the_chart(install: dict[str, Any]) -> None:
    objects = list(yaml.safe_load_all((ROOT / "deploy" / "operator.yaml").read_text()))
    deployments = install["deployments"]
    made = {each["metadata"]["name"]: each["spec"] for each in of_kind(objects, "Deployment")}
    assert {each["name"]: each["spec"] for each in deployments} == made
    pods = [each["spec"]["template"]["spec"] for each in deployments]
    assert [violations(each) for each in pods] == [[], []]
    accounts = [each["serviceAccountName"] for each in install["clusterPermissions"]]
    assert sorted(accounts) == sorted(each["serviceAccountName"] for each in pods)
    assert [each["serviceAccountName"] for each in install["permissions"]] == ["aiapi-operator"]
    (pod,) = [each for each in pods if each["serviceAccountName"] == "aiapi-operator"]
    priority = read("manifests/aiapi-operator.priorityclass.yaml")
    assert priority["metadata"]["name"] == pod["priorityClassName"]
    assert priority["globalDefault"] is False, "OLM forbids a default PriorityClass"


def test_every_image_is_listed_for_mirrors(service_version: dict[str, Any]) -> None:
    text = (BUNDLE / "manifests" / "aiapi-operator.clusterserviceversion.yaml").read_text()
    used = set(re.findall(r"ghcr\.io/aiapi-dev/[a-z-]+:[\w.-]*\w", text))
    assert {each["image"] for each in service_version["spec"]["relatedImages"]} == used


def test_only_all_namespaces_is_supported(service_version: dict[str, Any]) -> None:
    modes = {each["type"]: each["supported"] for each in service_version["spec"]["installModes"]}
    assert [mode for mode, supported in modes.items() if supported] == ["AllNamespaces"]
    assert len(modes) == 4


def test_the_image_is_labelled_as_the_annotations_say() -> None:
    text = (BUNDLE / "bundle.Dockerfile").read_text()
    labels = dict(re.findall(r"(operators\.[\w.]+)=(\S+)", text))
    assert labels == read("metadata/annotations.yaml")["annotations"]
