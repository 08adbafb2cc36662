"""Converts a pydantic JSON schema to a structural schema for a CustomResourceDefinition.

References are inlined, titles removed, and null removed from unions (the API server drops nulls).
Int-or-string gets its extension, and open objects preserve unknown fields. Defaults are written in
full, because the API server runs CEL rules on them, except within lists. They are appended to the
descriptions, because ``kubectl explain`` does not print them.
"""

import json
from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]

_INT_OR_STRING = {"integer", "string"}
_COUNT_FORMAT = "int32"
_REWRITTEN = {"$ref", "title", "default", "properties", "items", "additionalProperties", "anyOf"}
_FIRST = ("description", "type", "format", "default", "enum")
_LAST = ("x-kubernetes-validations", "required", "properties", "items")


def structural_schema(model: type[BaseModel]) -> Schema:
    """The structural schema of a model and its parts."""
    schema = model.model_json_schema(by_alias=True)
    definitions = schema.pop("$defs", {})
    # Copy parts that are used twice: otherwise YAML writes them as aliases.
    converted: Schema = json.loads(json.dumps(_convert(schema, definitions)))
    return converted


def _convert(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    schema = _resolved(_one_variant(_resolved(schema, definitions)), definitions)
    result = {key: value for key, value in schema.items() if key not in _REWRITTEN}
    if "description" in result:
        result["description"] = " ".join(result["description"].split())
    default = _plain(schema.get("default"))
    if default not in (None, [], {}):
        result["default"] = default
    if "description" in result:
        result["description"] += default_sentence(result)
    if "properties" in schema:
        result["properties"] = {
            name: _convert(field, definitions) for name, field in schema["properties"].items()
        }
    if "items" in schema:
        result["items"] = _without_defaults(_convert(schema["items"], definitions))
    if schema.get("type") == "integer":
        result.setdefault("format", _COUNT_FORMAT)
    return _arranged({**result, **_open(schema, definitions), **_union(schema)})


def _without_defaults(item: Schema) -> Schema:
    """An item of a list, whose defaults only the models know. Descriptions keep them.

    A tool that compares or replaces such a list as a whole would see each default that the API
    server adds as a change.
    """
    result = {key: value for key, value in item.items() if key != "default"}
    if "properties" in item:
        fields = item["properties"].items()
        result["properties"] = {name: _without_defaults(field) for name, field in fields}
    return result


def default_sentence(field: Schema) -> str:
    """The sentence that a description ends with; empty unless the default is a scalar."""
    default = field.get("default")
    return "" if default is None or isinstance(default, dict | list) else f" Defaults to {default}."


def _arranged(schema: Schema) -> Schema:
    """The keywords in a readable order."""
    first = [key for key in _FIRST if key in schema]
    last = [key for key in _LAST if key in schema]
    middle = [key for key in schema if key not in _FIRST and key not in _LAST]
    return {key: schema[key] for key in [*first, *middle, *last]}


def _resolved(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """The schema with its reference resolved; keywords beside the reference take precedence."""
    if "$ref" not in schema:
        return schema
    target = definitions[schema["$ref"].rsplit("/", 1)[-1]]
    return _resolved({**target, **{k: v for k, v in schema.items() if k != "$ref"}}, definitions)


def _one_variant(schema: Schema) -> Schema:
    """The schema without a union that only allows null."""
    variants = [variant for variant in schema.get("anyOf", []) if variant.get("type") != "null"]
    if len(variants) != 1:
        return {**schema, "anyOf": variants} if variants else schema
    return {**variants[0], **{key: value for key, value in schema.items() if key != "anyOf"}}


def _open(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """The keywords for fields that an object does not declare."""
    more = schema.get("additionalProperties")
    if isinstance(more, dict):
        return {"additionalProperties": _convert(more, definitions)}
    return {"x-kubernetes-preserve-unknown-fields": True} if more else {}


def _union(schema: Schema) -> Schema:
    variants = schema.get("anyOf")
    if not variants:
        return {}
    types = {variant.get("type") for variant in variants}
    if types != _INT_OR_STRING:
        raise ValueError(f"a union of {sorted(map(str, types))} has no structural form")
    return {
        "x-kubernetes-int-or-string": True,
        "anyOf": [{"type": "integer"}, {"type": "string"}],
    }


def _plain(value: Any) -> Any:
    """A default as in YAML: without unset fields, and whole numbers as integers."""
    if isinstance(value, dict):
        items = {key: _plain(item) for key, item in value.items()}
        return {key: item for key, item in items.items() if item not in (None, {}, [])}
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
