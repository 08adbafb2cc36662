"""CEL rules of CRDs (`x-kubernetes-validations`): compiled once, evaluated on every write."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

import cel

from aiapi_sandbox.apimachinery.durations import try_parse_time
from aiapi_sandbox.apimachinery.errors import OMITTED, FieldViolation, Obj
from aiapi_sandbox.kinds.cel_functions import FUNCTIONS, unknown_functions

_RESERVED = frozenset(
    [
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ]
)
_ESCAPES = (("__", "__underscores__"), (".", "__dot__"), ("-", "__dash__"), ("/", "__slash__"))
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_GO_DURATION = re.compile(r"^-?(?:\d+(?:\.\d*)?(?:ns|us|µs|ms|s|m|h))+$")
_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?)(ns|us|µs|ms|s|m|h)")


_FAILURES = (ValueError, TypeError, LookupError, RuntimeError, ArithmeticError)


class CompileError(ValueError):
    """The expression cannot be compiled."""


@lru_cache(maxsize=1024)
def compile_rule(expression: str) -> cel.Program:
    try:
        program = cel.compile(expression)
    except ValueError as error:
        raise CompileError(str(error)) from error
    if missing := unknown_functions(program.functions()):
        text = f"ERROR: <input>: undeclared reference to '{missing[0]}' (in container '')"
        raise CompileError(text)
    return program


def go_duration(text: str) -> timedelta | None:
    """A duration such as `1m30s`; None if it is none."""
    if text == "0":
        return timedelta(0)
    if not _GO_DURATION.match(text):
        return None
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _DURATION_PART.findall(text))
    return timedelta(seconds=-seconds if text.startswith("-") else seconds)


def _escaped(name: str) -> str:
    if name in _RESERVED:
        return f"__{name}__"
    for plain, escape in _ESCAPES:
        name = name.replace(plain, escape)
    return name


def cel_value(value: Any, schema: Obj) -> Any:
    """A JSON value as CEL sees it, by its schema: numbers are doubles, dates are timestamps."""
    kind = schema.get("type")
    if isinstance(value, dict):
        return {
            (_escaped(name) if name in (schema.get("properties") or {}) else name): cel_value(
                part, child_schema(schema, name)
            )
            for name, part in value.items()
        }
    if isinstance(value, list):
        items = schema.get("items") or {}
        return [cel_value(part, items) for part in value]
    if kind == "number" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind == "string" and isinstance(value, str):
        if schema.get("format") == "date-time":
            return try_parse_time(value) or value
        if schema.get("format") == "duration":
            return value if (length := go_duration(value)) is None else length
    return value


def child_schema(schema: Obj, name: str) -> Obj:
    found = (schema.get("properties") or {}).get(name)
    if found is None and isinstance(schema.get("additionalProperties"), dict):
        found = schema["additionalProperties"]
    return found or {}


@dataclass(frozen=True)
class CorrelatedObject:
    """A value under validation, with its former self where the two can be matched."""

    value: Any
    old: Any
    schema: Obj
    path: str

    @property
    def children(self) -> Iterator[CorrelatedObject]:
        if isinstance(self.value, dict):
            old = self.old if isinstance(self.old, dict) else {}
            known = self.schema.get("properties") or {}
            for name, part in self.value.items():
                where = f"{self.path}.{name}" if self.path else name
                if name not in known:
                    where = f"{self.path}[{name}]"
                yield CorrelatedObject(
                    part, old.get(name, OMITTED), child_schema(self.schema, name), where
                )
        elif isinstance(self.value, list):
            items = self.schema.get("items") or {}
            matches = _old_items(self.value, self.old, self.schema)
            for index, (part, old_part) in enumerate(zip(self.value, matches, strict=True)):
                yield CorrelatedObject(part, old_part, items, f"{self.path}[{index}]")


def _old_items(items: list[Any], old: Any, schema: Obj) -> list[Any]:
    keys = schema.get("x-kubernetes-list-map-keys")
    if not keys or not isinstance(old, list):
        return [OMITTED] * len(items)

    def identity(item: Any) -> tuple[Any, ...]:
        return tuple(item.get(key) for key in keys) if isinstance(item, dict) else ()

    before = {identity(item): item for item in old}
    return [before.get(identity(item), OMITTED) for item in items]


def has_rules(schema: Any) -> bool:
    if isinstance(schema, dict):
        return "x-kubernetes-validations" in schema or any(map(has_rules, schema.values()))
    return isinstance(schema, list) and any(map(has_rules, schema))


def check_rules(place: CorrelatedObject) -> list[FieldViolation]:
    """Every broken rule, here and below. What did not change is not checked again."""
    errors: list[FieldViolation] = []
    rules = place.schema.get("x-kubernetes-validations") or ()
    unchanged = place.old is not OMITTED and place.old == place.value
    for rule in rules:
        transition = "oldSelf" in compile_rule(rule["rule"]).variables()
        if (transition and place.old is OMITTED) or (unchanged and not transition):
            continue
        errors += _evaluate(rule, place)
    if not unchanged:
        for child in place.children:
            if child.schema:
                errors += check_rules(child)
    return errors


def _evaluate(rule: Obj, place: CorrelatedObject) -> list[FieldViolation]:
    variables = {"self": cel_value(place.value, place.schema)}
    if place.old is not OMITTED:
        variables["oldSelf"] = cel_value(place.old, place.schema)
    context = cel.Context(variables=variables, functions=FUNCTIONS)
    try:
        if compile_rule(rule["rule"]).execute(context) is True:
            return []
        detail = _message(rule, context)
    except _FAILURES as error:
        detail = f"{error} evaluating rule: {_static_message(rule)}"
    value = OMITTED if isinstance(place.value, dict | list) else place.value
    path = place.path + rule.get("fieldPath", "")
    return [FieldViolation(rule.get("reason", "FieldValueInvalid"), path.strip("."), detail, value)]


def _static_message(rule: Obj) -> str:
    return rule.get("message") or f"failed rule: {rule['rule'].strip()}"


def _message(rule: Obj, context: cel.Context) -> str:
    if expression := rule.get("messageExpression"):
        try:
            result = compile_rule(expression).execute(context)
        except _FAILURES:
            return _static_message(rule)
        if isinstance(result, str) and result.strip():
            return result
    return _static_message(rule)


def rule_errors(schema: Any, path: str) -> list[FieldViolation]:
    """Rules in a CRD's schema that do not compile."""
    errors: list[FieldViolation] = []
    if not isinstance(schema, dict):
        return errors
    for index, rule in enumerate(schema.get("x-kubernetes-validations") or ()):
        for name in ("rule", "messageExpression"):
            if name not in rule:
                continue
            try:
                compile_rule(rule[name])
            except CompileError as error:
                where = f"{path}.x-kubernetes-validations[{index}].{name}"
                detail = f"compilation failed: {error}"
                errors.append(FieldViolation("FieldValueInvalid", where, detail, rule[name]))
    for name, part in (schema.get("properties") or {}).items():
        errors += rule_errors(part, f"{path}.properties[{name}]")
    errors += rule_errors(schema.get("items"), f"{path}.items")
    errors += rule_errors(schema.get("additionalProperties"), f"{path}.additionalProperties")
    return errors
