"""The reference of all fields is generated from the models."""

import re
from pathlib import Path

from aiapi_operator.api.aiapi import AIApi
from aiapi_operator.api.reference import anchor, render
from aiapi_operator.api.schema import structural_schema

ROOT = Path(__file__).parents[3]
ROW = re.compile(r'^\| <a id="(?P<id>[a-z0-9-]+)"></a>`(?P<path>[^`|]+)` \| ')


def paths(schema: dict, parent: str) -> list[str]:
    found = []
    for name, field in schema.get("properties", {}).items():
        path = f"{parent}.{name}"
        below = [*paths(field, path), *paths(field.get("items", {}), f"{path}[]")]
        found += [path, *below]
    return found


def rows() -> list[re.Match[str]]:
    lines = [line for line in render().splitlines() if line.startswith("| <a")]
    return [found for line in lines if (found := ROW.match(line))]


def test_the_written_reference_is_up_to_date() -> None:
    written = (ROOT / "docs" / "api.md").read_text()
    assert written == render(), "run: python -m aiapi_operator.api.reference > docs/api.md"


def test_every_field_has_a_row_with_its_full_path() -> None:
    fields = structural_schema(AIApi)["properties"]
    expected = paths(fields["spec"], "spec") + paths(fields["status"], "status")
    assert [row["path"] for row in rows()] == expected
    assert "spec.env[].valueFrom.secretKeyRef.key" in expected


def test_every_row_has_a_unique_anchor() -> None:
    anchors = [row["id"] for row in rows()]
    assert len(set(anchors)) == len(anchors)
    assert anchors == [anchor(row["path"]) for row in rows()]
    assert anchor("spec.env[].valueFrom") == "spec-env-valuefrom"


def test_every_row_has_four_cells() -> None:
    for line in render().splitlines():
        if line.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", line)) == 5, line


def test_types_and_defaults_are_shown() -> None:
    text = render()
    assert "`status.conditions[].type` | string |" in text
    assert "`spec.objective.latency.percentile` | number | `95` | " in text
    assert '`spec.workers.cpu` | quantity | `"500m"` | ' in text
    assert "`spec.podTemplate.metadata.labels` | map of strings |" in text
    assert r'such as "0 8 \* \* 1-5"' in text
