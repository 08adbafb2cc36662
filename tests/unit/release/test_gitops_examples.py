"""Tests the examples for Argo CD, Flux and Terraform: the chart they install, what they ignore."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from release_support.workflow import ROOT

from aiapi_operator.api import aiapi
from aiapi_operator.api.aiapi import AIApi

GITOPS = ROOT / "examples" / "gitops"
TERRAFORM = ROOT / "examples" / "terraform" / "main.tf"
CHART = yaml.safe_load((ROOT / "charts" / "aiapi-operator" / "Chart.yaml").read_text())
REGISTRY = "ghcr.io/aiapi-dev/charts"


def documents(path: str) -> Iterator[dict[str, Any]]:
    yield from yaml.safe_load_all((GITOPS / path).read_text())


def only(path: str, kind: str) -> dict[str, Any]:
    (found,) = [each["spec"] for each in documents(path) if each["kind"] == kind]
    return dict(found)


def test_argo_cd_installs_the_chart() -> None:
    source = only("argo-cd/operator.yaml", "Application")["source"]
    assert (source["repoURL"], source["chart"]) == (REGISTRY, CHART["name"])
    assert source["targetRevision"] == CHART["version"]


def test_flux_installs_the_signed_chart() -> None:
    source = only("flux/operator.yaml", "OCIRepository")
    assert source["url"] == f"oci://{REGISTRY}/{CHART['name']}"
    assert source["ref"] == {"tag": CHART["version"]}
    (identity,) = source["verify"]["matchOIDCIdentity"]
    page = (ROOT / "docs" / "releases.md").read_text()
    (workflow,) = re.findall(r"^workflow=(\S+)$", page, re.MULTILINE)
    assert (ROOT / workflow.partition("/aiapi/")[2]).exists()
    signer = f"{workflow}@refs/tags/v{CHART['version']}"
    assert re.search(identity["subject"], signer)
    assert not re.search(identity["subject"], signer.replace("tags/v", "heads/"))
    (issuer,) = re.findall(r"--certificate-oidc-issuer (\S+)", page)
    assert re.search(identity["issuer"], issuer)


def test_flux_applies_the_apis_after_the_operator() -> None:
    operator, apis = documents("flux/apis.yaml")
    assert apis["spec"]["dependsOn"] == [{"name": operator["metadata"]["name"]}]
    assert operator["spec"]["wait"] is True
    (check,) = apis["spec"]["healthCheckExprs"]
    assert (check["apiVersion"], check["kind"]) == (aiapi.API_VERSION, aiapi.KIND)


def test_the_health_check_of_argo_cd_is_for_aiapis() -> None:
    (config,) = documents("argo-cd/health.yaml")
    key = f"resource.customizations.health.{aiapi.GROUP}_{aiapi.KIND}"
    assert list(config["data"]) == [key]


@pytest.mark.parametrize("path", sorted(GITOPS.rglob("*.yaml")), ids=lambda path: path.stem)
def test_nothing_is_ignored_by_default(path: Path) -> None:
    for document in yaml.safe_load_all(path.read_text()):
        assert {"ignoreDifferences", "ignore"} & document.get("spec", {}).keys() == set()


def test_the_documented_paths_to_ignore_are_fields() -> None:
    page = (ROOT / "docs" / "gitops.md").read_text()
    paths = re.findall(r"(?:paths|jsonPointers): \[(\S+)\]", page)
    assert len(paths) == 2
    for path in paths:
        value: Any = AIApi.model_validate(
            {"apiVersion": aiapi.API_VERSION, "kind": aiapi.KIND, "metadata": {"name": "a"}}
        ).model_dump(by_alias=True)
        for part in path.strip("/").split("/"):
            value = value[part]
        assert value == 2, path


def test_terraform_installs_the_chart() -> None:
    text = TERRAFORM.read_text()
    values = dict(re.findall(r'^  (repository|chart|version) +=\s"(.+)"$', text, re.MULTILINE))
    assert values == {
        "repository": f"oci://{REGISTRY}",
        "chart": CHART["name"],
        "version": CHART["version"],
    }
    assert f'apiVersion = "{aiapi.API_VERSION}"' in text


def test_terraform_is_formatted() -> None:
    program = shutil.which("terraform")
    if program is None:
        pytest.skip("terraform is not on the PATH")
    done = subprocess.run(
        [program, "fmt", "-check", "-diff", str(TERRAFORM)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "")
