"""Tests the JSON schema for editors: it is current, and it names what is wrong in a manifest."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema_rs import Draft7Validator, meta

from aiapi_operator.api.aiapi import AIApi
from aiapi_operator.api.json_schema import PATH, json_schema, render

ROOT = Path(__file__).parents[3]
SITE = yaml.safe_load((ROOT / "mkdocs.yml").read_text().partition("\ntheme:")[0])
VALIDATOR = Draft7Validator(json_schema())
MINIMAL: dict[str, Any] = {
    "apiVersion": "aiapi.dev/v1alpha1",
    "kind": "AIApi",
    "metadata": {"name": "assistant", "labels": {"team": "search"}},
}


def errors(manifest: dict[str, Any]) -> list[str]:
    found = VALIDATOR.iter_errors(manifest)
    return [f"{'.'.join(map(str, each.instance_path))}: {each.message}" for each in found]


def aiapi_files() -> list[Path]:
    """Example files that consist of one AIApi."""
    found = sorted((ROOT / "examples").rglob("*.yaml"))
    return [path for path in found if path.read_text().count("\nkind: AIApi\n") == 1]


def test_the_written_schema_is_up_to_date() -> None:
    assert (ROOT / "docs" / PATH).read_text() == render(), "run: make crds"
    assert meta.is_valid(json_schema())


@pytest.mark.parametrize("path", aiapi_files(), ids=lambda path: path.stem)
def test_examples_name_the_published_schema_and_match_it(path: Path) -> None:
    text = path.read_text()
    assert text.startswith(f"# yaml-language-server: $schema={SITE['site_url']}{PATH}\n")
    assert [each for document in yaml.safe_load_all(text) for each in errors(document)] == []


def test_an_aiapi_without_a_spec_is_valid() -> None:
    assert errors(MINIMAL) == []
    AIApi.model_validate(MINIMAL)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spec": {"replica": {"min": 2}}}, "'replica' was unexpected"),
        ({"spec": {"workers": {"minimum": 2}}}, "'minimum' was unexpected"),
        ({"spec": {"workers": {"min": 0}}}, "spec.workers.min: 0 is less than the minimum of 1"),
        ({"spec": {"scaling": {"mode": "Off"}}}, 'spec.scaling.mode: "Off" is not one of'),
        ({"apiVersion": "aiapi.dev/v1"}, 'apiVersion: "aiapi.dev/v1" is not one of'),
        ({"kind": "Deployment"}, 'kind: "Deployment" is not one of'),
    ],
)
def test_errors_name_the_field(change: dict[str, Any], message: str) -> None:
    (error,) = errors({**copy.deepcopy(MINIMAL), **change})
    assert message in error


def test_pod_templates_accept_all_fields_of_kubernetes() -> None:
    template = {"spec": {"nodeSelector": {"disk": "ssd"}, "hostAliases": []}}
    assert errors({**MINIMAL, "spec": {"podTemplate": template}}) == []
