"""A pydantic JSON schema turned into a structural schema, as a CustomResourceDefinition wants it.

References are inlined, titles go, unions with null lose the null (the API server drops
nulls by itself), int-or-string gets its extension, open objects keep unknown fields, and
defaults are written out in full: CEL rules are run on a default as it stands.
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
    """The structural schema of a model and of all that it holds."""
    schema = model.model_json_schema(by_alias=True)
    definitions = schema.pop("$defs", {})
    # Parts that are used twice become copies: YAML would write them as aliases otherwise.
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
    if "properties" in schema:
        result["properties"] = {
            name: _convert(field, definitions) for name, field in schema["properties"].items()
        }
    if "items" in schema:
        result["items"] = _convert(schema["items"], definitions)
    if schema.get("type") == "integer":
        result.setdefault("format", _COUNT_FORMAT)
    return _arranged({**result, **_open(schema, definitions), **_union(schema)})


def _arranged(schema: Schema) -> Schema:
    """The keywords in the order in which people read them."""
    first = [key for key in _FIRST if key in schema]
    last = [key for key in _LAST if key in schema]
    middle = [key for key in schema if key not in _FIRST and key not in _LAST]
    return {key: schema[key] for key in [*first, *middle, *last]}


def _resolved(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """The schema with a reference replaced by what it refers to; what stands beside it wins."""
    if "$ref" not in schema:
        return schema
    target = definitions[schema["$ref"].rsplit("/", 1)[-1]]
    return _resolved({**target, **{k: v for k, v in schema.items() if k != "$ref"}}, definitions)


def _one_variant(schema: Schema) -> Schema:
    """The schema without a union that only said: or null."""
    variants = [variant for variant in schema.get("anyOf", []) if variant.get("type") != "null"]
    if len(variants) != 1:
        return {**schema, "anyOf": variants} if variants else schema
    return {**variants[0], **{key: value for key, value in schema.items() if key != "anyOf"}}


def _open(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """What an object says of fields that it does not name."""
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
    """A default as it stands in YAML: without what nobody set, whole numbers as such."""
    if isinstance(value, dict):
        items = {key: _plain(item) for key, item in value.items()}
        return {key: item for key, item in items.items() if item not in (None, {}, [])}
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
