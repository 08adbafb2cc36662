"""Generates the JSON schema of an AIApi for editors: ``python -m aiapi_operator.api.json_schema``.

The output is ``docs/schemas/aiapi.dev/aiapi_v1alpha1.json``, which the documentation site
publishes; a test fails when they differ. Editors and kubeconform cannot read a
CustomResourceDefinition. They report unknown fields, which the API server drops.
"""

import json
import sys
from typing import Any

from aiapi_operator.api import aiapi
from aiapi_operator.api.crd import crd

PATH = f"schemas/{aiapi.GROUP}/{aiapi.KIND.lower()}_{aiapi.VERSION}.json"
"""Path below the documentation site, named as kubeconform expects it."""
_OPEN = "x-kubernetes-preserve-unknown-fields"
_SERVER_ONLY = "x-kubernetes-"

Schema = dict[str, Any]


def json_schema() -> Schema:
    """The schema of one AIApi."""
    (version,) = crd()["spec"]["versions"]
    schema = _closed(version["schema"]["openAPIV3Schema"])
    fields = schema["properties"]
    fields["apiVersion"]["enum"] = [f"{aiapi.GROUP}/{aiapi.VERSION}"]
    fields["kind"]["enum"] = [aiapi.KIND]
    fields["metadata"].pop("additionalProperties")
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": aiapi.KIND,
        **schema,
        "required": ["apiVersion", "kind", "metadata"],
    }


def _closed(schema: Schema) -> Schema:
    """The schema without keywords for the API server; objects allow only the fields they list."""
    result = {key: value for key, value in schema.items() if not key.startswith(_SERVER_ONLY)}
    if "properties" in schema:
        result["properties"] = {name: _closed(each) for name, each in schema["properties"].items()}
    if "items" in schema:
        result["items"] = _closed(schema["items"])
    if isinstance(schema.get("additionalProperties"), dict):
        result["additionalProperties"] = _closed(schema["additionalProperties"])
    elif schema.get("type") == "object" and not schema.get(_OPEN):
        result["additionalProperties"] = False
    return result


def render() -> str:
    """The schema as text."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render())
