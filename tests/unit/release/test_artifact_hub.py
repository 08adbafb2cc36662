"""Tests the chart's metadata for Artifact Hub, which shows wrong annotations without an error."""

import re
from typing import Any

import pytest
import yaml
from release_support.workflow import ROOT, step, workflow

from aiapi_operator.api.aiapi import AIApi

CHART = yaml.safe_load((ROOT / "charts" / "aiapi-operator" / "Chart.yaml").read_text())
PREFIX = "artifacthub.io/"


def annotation(name: str) -> Any:
    return yaml.safe_load(CHART["annotations"][PREFIX + name])


def test_crds_are_those_of_the_chart() -> None:
    crd = yaml.safe_load((ROOT / "crds" / "aiapis.aiapi.dev.yaml").read_text())
    (listed,) = annotation("crds")
    assert listed["name"] == crd["metadata"]["name"]
    assert listed["kind"] == crd["spec"]["names"]["kind"]
    assert listed["version"] in [each["name"] for each in crd["spec"]["versions"]]


def test_examples_are_valid() -> None:
    (crd,), examples = annotation("crds"), annotation("crdsExamples")
    assert examples
    for example in examples:
        parsed = AIApi.model_validate(example)
        assert (example["kind"], example["apiVersion"].split("/")[1]) == (
            crd["kind"],
            crd["version"],
        )
        assert parsed.metadata.name == example["metadata"]["name"]
        assert example["spec"].keys() <= parsed.spec.model_dump(by_alias=True).keys()


def test_images_are_all_images_of_the_chart_for_the_built_platforms() -> None:
    text = (ROOT / "deploy" / "operator.yaml").read_text()
    used = set(re.findall(r"ghcr\.io/aiapi-dev/[a-z-]+:[\w.-]*\w", text))
    assert {each["image"] for each in annotation("images")} == used
    built = step(workflow()["jobs"]["images"], "build")["with"]["platforms"].split(",")
    assert all(each["platforms"] == built for each in annotation("images"))


def test_the_license_is_that_of_the_repository() -> None:
    assert (
        f'license = "{CHART["annotations"][PREFIX + "license"]}"'
        in (ROOT / "pyproject.toml").read_text()
    )


@pytest.mark.parametrize("link", annotation("links"), ids=lambda link: link["name"])
def test_links_lead_to_the_site_or_to_a_heading_of_a_file(link: dict[str, str]) -> None:
    site = "https://aiapi-dev.github.io/aiapi/"
    path, _, heading = link["url"].removeprefix(f"{CHART['home']}/blob/main/").partition("#")
    if link["url"] != site:
        text = (ROOT / path).read_text().lower()
        assert not heading or f"\n## {heading}\n" in text


def test_the_repository_metadata_is_pushed_beside_the_chart() -> None:
    push = step(workflow()["jobs"]["chart"], "Metadata for Artifact Hub")
    (path,) = re.findall(r"^ *(\S+):application/vnd\.cncf\.\S+layer\S+$", push["run"], re.MULTILINE)
    metadata = yaml.safe_load((ROOT / path).read_text())
    assert {each["name"] for each in metadata["ignore"]} == {CHART["name"]}
    assert push["env"]["CHART"].endswith(f"/charts/{CHART['name']}")
