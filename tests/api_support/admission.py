"""The validation that an API server does for an AIApi, by the CRD's schema and CEL rules.

It supports only the keywords that our CRD uses, and fails for any other. The tests against the
sandbox and real clusters are in tests/integration/api and tests/e2e.
"""

import copy
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import cel

from aiapi_operator.api.crd import crd

Schema = dict[str, Any]

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
_KNOWN = {
    *("description", "type", "format", "default", "enum", "minimum", "maximum", "minLength"),
    *("maxLength", "maxItems", "maxProperties", "required", "properties", "items", "anyOf"),
    *("additionalProperties", "x-kubernetes-validations", "x-kubernetes-int-or-string"),
    *("x-kubernetes-preserve-unknown-fields", "x-kubernetes-list-type"),
    "x-kubernetes-list-map-keys",
}


@cache
def schema() -> Schema:
    """The CRD's schema."""
    found: Schema = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def refusals(aiapi: dict[str, Any]) -> list[str]:
    """The errors of the object, as ``field: message``; empty if it is valid."""
    given = copy.deepcopy(aiapi)
    _fill_in(given, schema())
    by_schema = list(_violations(given, schema(), ""))
    return by_schema or list(_broken_rules(given, schema(), ""))


def _fill_in(value: Any, schema: Schema) -> None:
    if isinstance(value, dict):
        for name, field in schema.get("properties", {}).items():
            if value.get(name) is None:
                value.pop(name, None)
                if "default" in field:
                    value[name] = copy.deepcopy(field["default"])
            if name in value:
                _fill_in(value[name], field)
    if isinstance(value, list):
        for item in value:
            _fill_in(item, schema.get("items", {}))


def _children(value: Any, schema: Schema, path: str) -> Iterator[tuple[Any, Schema, str]]:
    if isinstance(value, dict):
        for name, item in value.items():
            field = schema.get("properties", {}).get(name) or schema.get("additionalProperties")
            if field is not None:
                yield item, field, f"{path}.{name}".lstrip(".")
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield item, schema["items"], f"{path}[{index}]"


def _violations(value: Any, schema: Schema, path: str) -> Iterator[str]:
    assert set(schema) <= _KNOWN, set(schema) - _KNOWN
    if not _has_type(value, schema):
        yield f"{path}: must be of type {schema.get('type', 'integer or string')}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: supported values: {schema['enum']}"
    yield from _out_of_range(value, schema, path)
    yield from _wrong_names(value, schema, path)
    for item, field, where in _children(value, schema, path):
        yield from _violations(item, field, where)


def _has_type(value: Any, schema: Schema) -> bool:
    if schema.get("x-kubernetes-int-or-string"):
        return isinstance(value, int | str) and not isinstance(value, bool)
    kind = schema["type"]
    return isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _out_of_range(value: Any, schema: Schema, path: str) -> Iterator[str]:
    sized = isinstance(value, str | list | dict)
    checks = {
        "minimum": not sized and value < schema.get("minimum", value),
        "maximum": not sized and value > schema.get("maximum", value),
        "minLength": isinstance(value, str) and len(value) < schema.get("minLength", 0),
        "maxLength": isinstance(value, str) and len(value) > schema.get("maxLength", 10**9),
        "maxItems": isinstance(value, list) and len(value) > schema.get("maxItems", 10**9),
        "maxProperties": isinstance(value, dict)
        and len(value) > schema.get("maxProperties", 10**9),
    }
    yield from (f"{path}: breaks {key} {schema[key]}" for key, broken in checks.items() if broken)


def _wrong_names(value: Any, schema: Schema, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (
            f"{path}.{name}: required" for name in schema.get("required", []) if name not in value
        )
        closed = "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields")
        for name in value if closed else ():
            if name not in schema["properties"]:
                yield f"{path}.{name}: unknown field"
    keys = schema.get("x-kubernetes-list-map-keys")
    if keys:
        marks = [tuple(item.get(key) for key in keys) for item in value if isinstance(item, dict)]
        yield from (
            f"{path}: duplicate {mark}" for mark in {m for m in marks if marks.count(m) > 1}
        )


def _broken_rules(value: Any, schema: Schema, path: str) -> Iterator[str]:
    for rule in schema.get("x-kubernetes-validations", []):
        if cel.evaluate(rule["rule"], {"self": value}) is not True:
            yield f"{path}: {rule['message']}"
    for item, field, where in _children(value, schema, path):
        yield from _broken_rules(item, field, where)


def patterns() -> Iterator[tuple[Schema, str]]:
    """Each pattern in a rule, with the schema of the value that it matches."""
    yield from _patterns(schema())


def _patterns(schema: Schema) -> Iterator[tuple[Schema, str]]:
    for rule in schema.get("x-kubernetes-validations", []):
        yield from ((schema, found) for found in re.findall(r"matches\(r?'(.*?)'\)", rule["rule"]))
    below = [*schema.get("properties", {}).values(), schema.get("items")]
    for field in filter(None, below):
        yield from _patterns(field)
