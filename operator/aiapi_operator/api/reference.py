"""The reference of all fields for people: ``python -m aiapi_operator.api.reference``.

``docs/api.md`` is its output, made from the same schema as the CRD; a test fails when the two
differ.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

from aiapi_operator.api.aiapi import API_VERSION, KIND, AIApi
from aiapi_operator.api.rules import EXTENSION
from aiapi_operator.api.schema import structural_schema

_HEAD = f"""# {KIND} reference

<!-- Made from the models: python -m aiapi_operator.api.reference > docs/api.md -->

`{API_VERSION}`, kind `{KIND}`, short name `aia`. Every field of `spec` has a default; an AIApi
without `spec` is valid. `kubectl explain aiapi.spec` says the same as this page.
"""
_TABLE = "| field | type | default | |\n| --- | --- | --- | --- |\n"


def render() -> str:
    """The reference as Markdown."""
    fields = structural_schema(AIApi)["properties"]
    return _HEAD + "".join(
        f"\n## {name}\n\n{fields[name]['description']}\n\n{_TABLE}"
        + "".join(_rows(fields[name], ""))
        for name in ("spec", "status")
    )


def _rows(schema: dict[str, Any], path: str) -> Iterator[str]:
    for name, field in schema.get("properties", {}).items():
        where = f"{path}.{name}".lstrip(".")
        cells = (f"`{where}`", _type(field), _default(field), _text(field))
        yield f"| {' | '.join(cells)} |\n"
        yield from _rows(field, where)
        yield from _rows(field.get("items", {}), f"{where}[]")


def _type(field: dict[str, Any]) -> str:
    if "enum" in field:
        return "one of " + ", ".join(f"`{value}`" for value in field["enum"])
    if field.get("x-kubernetes-int-or-string"):
        return "quantity"
    if field["type"] == "array":
        return f"list of {field['items']['type']}s"
    limits = [field.get("minimum"), field.get("maximum")]
    if None not in limits:
        return f"{field['type']} {limits[0]}..{limits[1]}"
    return str(field["type"])


def _default(field: dict[str, Any]) -> str:
    """A part's own default is told field by field."""
    if "default" not in field or "properties" in field:
        return ""
    return f"`{json.dumps(field['default'])}`"


def _text(field: dict[str, Any]) -> str:
    rules = (rule["message"] for rule in field.get(EXTENSION, []))
    inside = (rule["message"] for rule in field.get("items", {}).get(EXTENSION, []))
    said = [field["description"], *(f"Rule: {message}." for message in (*rules, *inside))]
    return " ".join(said).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(render())
