"""Generates the reference of all fields: ``python -m aiapi_operator.api.reference``.

The output is ``docs/api.md``, made from the same schema as the CRD; a test fails when they differ.
Every row has an anchor: the path in lower case with dashes, such as ``#spec-workers-min``.
"""

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

from aiapi_operator.api.aiapi import API_VERSION, KIND, AIApi
from aiapi_operator.api.json_schema import PATH as SCHEMA
from aiapi_operator.api.rules import EXTENSION
from aiapi_operator.api.schema import default_sentence, structural_schema

_HEAD = f"""# {KIND} reference

<!-- Generated from the models: python -m aiapi_operator.api.reference > docs/api.md -->

`{API_VERSION}`, kind `{KIND}`, short name `aia`. Every field of `spec` has a default; an AIApi
without `spec` is valid. `kubectl explain aiapi.spec` shows the same descriptions. Each field has an
anchor, such as [#spec-workers-min](#spec-workers-min).

Editors with the YAML language server complete and check the fields if a file begins with

```yaml
# yaml-language-server: $schema=https://aiapi-dev.github.io/aiapi/{SCHEMA}
```

The JSON schema also reports unknown fields, which the API server drops with a warning at most.
It does not contain the rules between fields; the API server checks those. To check manifests in CI:

```sh
schemas=https://aiapi-dev.github.io/aiapi/schemas
kubeconform -strict -schema-location default -schema-location \\
  "$schemas/{{{{.Group}}}}/{{{{.ResourceKind}}}}_{{{{.ResourceAPIVersion}}}}.json" manifests/
```
"""
_TABLE = "| field | type | default | description |\n| --- | --- | --- | --- |\n"


def render() -> str:
    """The reference as Markdown."""
    fields = structural_schema(AIApi)["properties"]
    return _HEAD + "".join(
        f"\n## {name}\n\n{fields[name]['description']}\n\n{_TABLE}"
        + "".join(_rows(fields[name], name))
        for name in ("spec", "status")
    )


def anchor(path: str) -> str:
    """The anchor of a field: ``spec.env[].name`` -> ``spec-env-name``."""
    return re.sub(r"[^a-z0-9]+", "-", path.lower()).strip("-")


def _rows(schema: dict[str, Any], parent: str) -> Iterator[str]:
    for name, field in schema.get("properties", {}).items():
        path = f"{parent}.{name}"
        cells = (
            f'<a id="{anchor(path)}"></a>`{path}`',
            _type(field),
            _default(field),
            _text(field),
        )
        yield f"| {' | '.join(cells)} |\n"
        yield from _rows(field, path)
        yield from _rows(field.get("items", {}), f"{path}[]")


def _type(field: dict[str, Any]) -> str:
    if "enum" in field:
        return "one of " + ", ".join(f"`{value}`" for value in field["enum"])
    if field.get("x-kubernetes-int-or-string"):
        return "quantity"
    if field["type"] == "array":
        return f"list of {field['items']['type']}s"
    if "additionalProperties" in field:
        return f"map of {field['additionalProperties']['type']}s"
    limits = [field.get("minimum"), field.get("maximum")]
    if None not in limits:
        return f"{field['type']} {limits[0]}..{limits[1]}"
    return str(field["type"])


def _default(field: dict[str, Any]) -> str:
    """The default of a scalar field; an object shows the defaults of its fields."""
    if "default" not in field or "properties" in field:
        return ""
    return f"`{json.dumps(field['default'])}`"


def _text(field: dict[str, Any]) -> str:
    rules = (rule["message"] for rule in field.get(EXTENSION, []))
    inside = (rule["message"] for rule in field.get("items", {}).get(EXTENSION, []))
    description = field["description"].removesuffix(default_sentence(field))
    sentences = [description, *(f"Rule: {message}." for message in (*rules, *inside))]
    return _escaped(" ".join(sentences))


def _escaped(text: str) -> str:
    """Text for a table cell, without characters that Markdown interprets."""
    return re.sub(r"([\\|*_\[\]])", r"\\\1", text).replace("<", "&lt;")


if __name__ == "__main__":
    sys.stdout.write(render())
