"""CEL validation rules (`x-kubernetes-validations`): compiled once, evaluated on every write."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cel

from aiapi_sandbox.apimachinery.durations import parse_duration
from aiapi_sandbox.apimachinery.errors import OMITTED, FieldViolation, Obj
from aiapi_sandbox.apimachinery.timestamps import try_parse_time
from aiapi_sandbox.kinds.cel_functions import FUNCTIONS, unknown_functions
from aiapi_sandbox.kinds.correlated_object import CorrelatedObject, child_schema

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
_EVALUATION_ERRORS = (ValueError, TypeError, LookupError, RuntimeError, ArithmeticError)


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


def _escaped(name: str) -> str:
    if name in _RESERVED:
        return f"__{name}__"
    for plain, escape in _ESCAPES:
        name = name.replace(plain, escape)
    return name


def cel_value(value: Any, schema: Obj) -> Any:
    """A JSON value converted to CEL by its schema: numbers to doubles, date-times to timestamps."""
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
            return value if (parsed := parse_duration(value)) is None else parsed
    return value


def has_rules(schema: Any) -> bool:
    if isinstance(schema, dict):
        return "x-kubernetes-validations" in schema or any(map(has_rules, schema.values()))
    return isinstance(schema, list) and any(map(has_rules, schema))


def check_rules(node: CorrelatedObject) -> list[FieldViolation]:
    """Violations of the node and its children, except in unchanged values (ratcheting)."""
    errors: list[FieldViolation] = []
    rules = node.schema.get("x-kubernetes-validations") or ()
    unchanged = node.old is not OMITTED and node.old == node.value
    for rule in rules:
        transition = "oldSelf" in compile_rule(rule["rule"]).variables()
        if (transition and node.old is OMITTED) or (unchanged and not transition):
            continue
        errors += _evaluate(rule, node)
    if not unchanged:
        for child in node.children:
            if child.schema:
                errors += check_rules(child)
    return errors


def _evaluate(rule: Obj, node: CorrelatedObject) -> list[FieldViolation]:
    variables = {"self": cel_value(node.value, node.schema)}
    if node.old is not OMITTED:
        variables["oldSelf"] = cel_value(node.old, node.schema)
    context = cel.Context(variables=variables, functions=FUNCTIONS)
    try:
        if compile_rule(rule["rule"]).execute(context) is True:
            return []
        detail = _message(rule, context)
    except _EVALUATION_ERRORS as error:
        detail = f"{error} evaluating rule: {_static_message(rule)}"
    value = OMITTED if isinstance(node.value, dict | list) else node.value
    path = node.path + rule.get("fieldPath", "")
    return [FieldViolation(rule.get("reason", "FieldValueInvalid"), path.strip("."), detail, value)]


def _static_message(rule: Obj) -> str:
    return rule.get("message") or f"failed rule: {rule['rule'].strip()}"


def _message(rule: Obj, context: cel.Context) -> str:
    if expression := rule.get("messageExpression"):
        try:
            result = compile_rule(expression).execute(context)
        except _EVALUATION_ERRORS:
            return _static_message(rule)
        if isinstance(result, str) and result.strip():
            return result
    return _static_message(rule)


def rule_errors(schema: Any, path: str) -> list[FieldViolation]:
    """Violations for rules in a CRD's schema that do not compile."""
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
