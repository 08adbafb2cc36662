"""The CRD is generated from the models, in the form that an API server accepts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from api_support.admission import refusals, schema
from pydantic import BaseModel

from aiapi_operator.api import AIApiSpec
from aiapi_operator.api.crd import crd, render
from aiapi_operator.api.schema import structural_schema

ROOT = Path(__file__).parents[3]


def nodes(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, node
    for name, field in node.get("properties", {}).items():
        yield from nodes(field, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            yield from nodes(node[key], f"{path}[]")


def test_the_written_crd_is_up_to_date() -> None:
    written = (ROOT / "crds" / "aiapis.aiapi.dev.yaml").read_text()
    assert written == render(), "run: make crds"
    assert yaml.safe_load(written) == crd()


def test_names_and_subresources() -> None:
    spec = crd()["spec"]
    assert crd()["metadata"]["name"] == "aiapis.aiapi.dev"
    assert spec["names"]["shortNames"] == ["aia"]
    assert spec["names"]["categories"] == ["all"]
    (version,) = spec["versions"]
    assert version["subresources"]["status"] == {}
    assert version["subresources"]["scale"] == {
        "specReplicasPath": ".spec.replicas.min",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    }


def test_printer_columns() -> None:
    columns = crd()["spec"]["versions"][0]["additionalPrinterColumns"]
    narrow = [column["name"] for column in columns if not column.get("priority")]
    wide = [column["name"] for column in columns if column.get("priority")]
    assert narrow == ["Ready", "Workers", "Replicas", "p95", "Objective", "Saved", "Age"]
    assert wide == ["Utilization", "Errors", "RPS", "Binding", "Mode", "Phase", "Reason", "Shard"]


def test_every_column_and_scale_path_leads_to_a_field() -> None:
    known = {path for path, _ in nodes(schema())} | {".metadata.creationTimestamp"}
    version = crd()["spec"]["versions"][0]
    paths = [column["jsonPath"] for column in version["additionalPrinterColumns"]]
    for path in [*paths, *version["subresources"]["scale"].values()]:
        assert path.split("[")[0] in known


def test_the_schema_is_structural() -> None:
    for path, node in nodes(schema()):
        assert "$ref" not in node, path
        assert "title" not in node, path
        assert node.get("type") or node.get("x-kubernetes-int-or-string"), path
        assert node.get("additionalProperties") is not False, path
        if "anyOf" in node:
            assert node["anyOf"] == [{"type": "integer"}, {"type": "string"}], path
        if node.get("type") == "number":
            assert path.startswith(".spec.objective."), "floats lose digits"


def test_items_of_lists_have_no_defaults() -> None:
    """kubectl apply and Argo CD compare such lists as a whole, with Git's items."""
    lists = {path: node["items"] for path, node in nodes(schema()) if "items" in node}
    assert ".spec.scaling.schedules" in lists
    found = [
        at for path, item in lists.items() for at, node in nodes(item, path) if "default" in node
    ]
    assert found == []


def test_every_field_has_a_description_with_its_default() -> None:
    for path, node in nodes(schema()):
        if path and not path.endswith("[]") and path != ".metadata":
            assert node.get("description", "").endswith("."), path
            if "default" in node and node["type" if "type" in node else "anyOf"] != "object":
                assert node["description"].endswith(f" Defaults to {node['default']}."), path


def test_defaults_are_complete_and_valid() -> None:
    """An API server validates a default as written, without filling in nested defaults."""
    fields = schema()["properties"]["spec"]["properties"]
    for name, value in schema()["properties"]["spec"]["default"].items():
        assert value == fields[name]["default"]
    head = {"apiVersion": "aiapi.dev/v1alpha1", "kind": "AIApi", "metadata": {"name": "a"}}
    assert refusals(head) == []
    AIApiSpec.model_validate(schema()["properties"]["spec"]["default"])


def test_types_without_structural_form_are_rejected() -> None:
    class Odd(BaseModel):
        either: int | list[int]

    with pytest.raises(ValueError, match="no structural form"):
        structural_schema(Odd)
