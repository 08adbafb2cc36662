"""Structural schemas: defaulting and validation, with a real API server's messages."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from aiapi_sandbox.apimachinery.durations import parse_duration
from aiapi_sandbox.apimachinery.errors import OMITTED, FieldViolation, Obj
from aiapi_sandbox.apimachinery.json_copy import copy_json
from aiapi_sandbox.apimachinery.timestamps import try_parse_time
from aiapi_sandbox.kinds.correlated_object import CorrelatedObject

_JSON_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "boolean"),
    (int, "integer"),
    (float, "number"),
    (str, "string"),
    (list, "array"),
    (dict, "object"),
)
_FORMATS: dict[str, Callable[[Any], bool]] = {
    "date-time": lambda value: try_parse_time(value) is not None,
    "duration": lambda value: parse_duration(value) is not None,
    "int32": lambda value: -(2**31) <= value < 2**31,
    "int64": lambda value: -(2**63) <= value < 2**63,
}
RULES_SKIPPED = FieldViolation(
    "FieldValueInvalid",
    "<nil>",
    "some validation rules were not checked because the object was invalid; correct the existing "
    "errors to complete validation",
    None,
)
RULE_BLOCKING_REASONS = frozenset(
    {
        "FieldValueRequired",
        "FieldValueNotSupported",
        "FieldValueTypeInvalid",
        "FieldValueTooLong",
        "FieldValueTooMany",
    }
)


def json_type(value: Any) -> str:
    return next((name for kind, name in _JSON_TYPES if isinstance(value, kind)), "null")


def apply_defaults(value: Any, schema: Obj) -> None:
    """Set defaults, in place; they also replace a null that is not nullable."""
    if isinstance(value, dict):
        known = schema.get("properties") or {}
        for name, part in known.items():
            _default_field(value, name, part)
        extra = schema.get("additionalProperties")
        if isinstance(extra, dict):
            for name in value.keys() - known.keys():
                apply_defaults(value[name], extra)
    elif isinstance(value, list):
        for item in value:
            apply_defaults(item, schema.get("items") or {})


def _default_field(value: Obj, name: str, schema: Obj) -> None:
    absent = value.get(name) is None and not (name in value and schema.get("nullable"))
    if absent and "default" in schema:
        value[name] = copy_json(schema["default"])
    if name in value:
        apply_defaults(value[name], schema)


def validate(node: CorrelatedObject) -> list[FieldViolation]:
    """Violations of the node and its children, except in unchanged values (ratcheting)."""
    value, schema = node.value, node.schema
    if node.old is not OMITTED and node.old == value:
        return []
    if value is None and schema.get("nullable"):
        return []
    wanted = _types(schema)
    actual = json_type(value)
    number = (actual == "integer" and "number" in wanted) or _whole_number(value, wanted)
    if wanted and actual not in wanted and not number:
        return [_wrong_type(node.path, wanted, actual)]
    errors = [*_enum(node), *_value_rules(node)]
    if isinstance(value, dict):
        errors += _required(node)
    for child in node.children:
        if child.schema:
            errors += validate(child)
    return errors + _combinations(node) + _duplicates(node)


def _types(schema: Obj) -> list[str]:
    if schema.get("x-kubernetes-int-or-string"):
        return ["integer", "string"]
    return [schema["type"]] if schema.get("type") else []


def _whole_number(value: Any, wanted: list[str]) -> bool:
    return wanted == ["integer"] and isinstance(value, float) and value.is_integer()


def _wrong_type(path: str, wanted: list[str], got: str) -> FieldViolation:
    detail = f'{path} in body must be of type {",".join(wanted)}: "{got}"'
    return FieldViolation("FieldValueTypeInvalid", path, detail, got)


def _required(node: CorrelatedObject) -> list[FieldViolation]:
    missing = [name for name in node.schema.get("required") or () if name not in node.value]
    prefix = f"{node.path}." if node.path else ""
    return [FieldViolation("FieldValueRequired", prefix + name) for name in missing]


def _enum(node: CorrelatedObject) -> list[FieldViolation]:
    allowed = node.schema.get("enum")
    if allowed is None or node.value in allowed:
        return []
    listed = ", ".join(f'"{value}"' for value in allowed)
    detail = f"supported values: {listed}"
    return [FieldViolation("FieldValueNotSupported", node.path, detail, node.value)]


def _value_rules(node: CorrelatedObject) -> list[FieldViolation]:
    value = node.value
    if isinstance(value, bool) or value is None:
        return []
    if isinstance(value, int | float):
        texts = _number_rules(value, node.schema)
    elif isinstance(value, str):
        texts = _string_rules(value, node.schema)
    else:
        return _size_rules(node)
    if format_ := _bad_format(value, node.schema):
        texts.append(format_)
    errors = [
        FieldViolation("FieldValueInvalid", node.path, f"{node.path} in body {text}", value)
        for text in texts
    ]
    longest = node.schema.get("maxLength")
    if isinstance(value, str) and longest is not None and len(value) > longest:
        detail = f"may not be more than {longest} characters"
        errors.append(FieldViolation("FieldValueTooLong", node.path, detail))
    return errors


def _number_rules(value: float, schema: Obj) -> list[str]:
    texts = []
    if (low := schema.get("minimum")) is not None:
        if schema.get("exclusiveMinimum") and value <= low:
            texts.append(f"should be greater than {low:g}")
        elif value < low:
            texts.append(f"should be greater than or equal to {low:g}")
    if (high := schema.get("maximum")) is not None:
        if schema.get("exclusiveMaximum") and value >= high:
            texts.append(f"should be less than {high:g}")
        elif value > high:
            texts.append(f"should be less than or equal to {high:g}")
    if (step := schema.get("multipleOf")) and value % step:
        texts.append(f"should be a multiple of {step:g}")
    return texts


def _string_rules(value: str, schema: Obj) -> list[str]:
    texts = []
    if len(value) < schema.get("minLength", 0):
        texts.append(f"should be at least {schema['minLength']} chars long")
    if (pattern := schema.get("pattern")) and not re.search(pattern, value):
        texts.append(f"should match '{pattern}'")
    return texts


def _bad_format(value: Any, schema: Obj) -> str | None:
    name = schema.get("format")
    check = _FORMATS.get(name or "")
    if check is None or isinstance(value, str) is (name or "").startswith("int"):
        return None
    return None if check(value) else f"must be of type {name}: {_quoted(value)}"


def _quoted(value: Any) -> str:
    return f'"{value}"'


def _size_rules(node: CorrelatedObject) -> list[FieldViolation]:
    noun = "items" if isinstance(node.value, list) else "properties"
    low, high = (node.schema.get(f"{bound}{noun.title()}") for bound in ("min", "max"))
    count = len(node.value)
    if high is not None and count > high:
        detail = f"must have at most {high} {'item' if high == 1 else 'items'}"
        return [FieldViolation("FieldValueTooMany", node.path, detail, count)]
    if low is not None and count < low:
        detail = f"{node.path} in body should have at least {low} {noun}"
        return [FieldViolation("FieldValueInvalid", node.path, detail, node.value)]
    return []


def _combinations(node: CorrelatedObject) -> list[FieldViolation]:
    def fits(part: Obj) -> bool:
        return not validate(CorrelatedObject(node.value, OMITTED, part, node.path))

    schema, errors = node.schema, []
    if (parts := schema.get("anyOf")) and not any(map(fits, parts)):
        errors.append("must validate at least one schema (anyOf)")
    if (parts := schema.get("oneOf")) and (count := sum(map(fits, parts))) != 1:
        found = "none" if count == 0 else str(count)
        errors.append(f"must validate one and only one schema (oneOf). Found {found} valid")
    if (parts := schema.get("allOf")) and not all(map(fits, parts)):
        errors.append("must validate all the schemas (allOf)")
    if (part := schema.get("not")) and fits(part):
        errors.append("must not validate the schema (not)")
    where = node.path or "<nil>"
    return [
        FieldViolation("FieldValueInvalid", where, f"{node.path} in body {text}".strip(), "")
        for text in errors
    ]


def _duplicates(node: CorrelatedObject) -> list[FieldViolation]:
    how = node.schema.get("x-kubernetes-list-type")
    if not isinstance(node.value, list) or how not in ("map", "set"):
        return []
    keys = node.schema.get("x-kubernetes-list-map-keys") or ()
    seen: list[Any] = []
    errors = []
    for index, item in enumerate(node.value):
        name = {key: item.get(key) for key in keys} if isinstance(item, dict) else item
        if name in seen:
            path = f"{node.path}[{index}]"
            errors.append(FieldViolation("FieldValueDuplicate", path, value=name))
        seen.append(name)
    return errors
