"""Finds the conditions that the operator can set, by reading its source.

A condition is a call ``Condition(type=..., status=..., reason=...)``, or a call of a function that
passes its own parameters on to ``Condition``: one of the same module, or one that is imported, as
in ``sizing/diagnoses``. A reason may also be the first item of a tuple ``(reason, message)``, as in
the readiness check and the modules that it imports, or an item of ``LAUNCHER_REASONS`` there.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

STATUS = {True: "True", False: "False", None: "Unknown"}
FIELDS = ("type", "status", "reason")


@dataclass(frozen=True, order=True)
class Condition:
    """A type with one of its statuses and reasons."""

    type: str
    status: str
    reason: str


@dataclass(frozen=True)
class Scope:
    """Where a call stands: the constants that its names may refer to, and its module."""

    constants: dict[str, str]
    modules: tuple[ast.Module, ...]


def conditions(folders: list[Path], autoscaler_kinds: set[str]) -> set[Condition]:
    """All conditions set below the folders."""
    modules = {
        ".".join(path.relative_to(each.parents[1]).with_suffix("").parts): ast.parse(
            path.read_text()
        )
        for each in folders
        for path in each.rglob("*.py")
    }
    own = {name: dict(_builders(module)) for name, module in modules.items()}
    found: set[Condition] = set()
    for name, module in modules.items():
        builders = dict(_imported(module, own)) | own[name]
        constants = _constants(module.body)
        for call, local in _calls(module, constants):
            arguments = _arguments(call, builders)
            if arguments is not None:
                scope = Scope(constants | local, (module, *_siblings(name, module, modules)))
                found |= _resolved(arguments, scope, autoscaler_kinds)
    return found


def _calls(
    module: ast.Module, constants: dict[str, str]
) -> Iterator[tuple[ast.Call, dict[str, str]]]:
    functions = [each for each in ast.walk(module) if isinstance(each, ast.FunctionDef)]
    inside = {id(node) for function in functions for node in ast.walk(function)}
    for function in functions:
        local = _constants(function.body)
        for node in ast.walk(function):
            if isinstance(node, ast.Call):
                yield node, local
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and id(node) not in inside:
            yield node, constants


def _constants(body: list[ast.stmt]) -> dict[str, str]:
    return {
        each.targets[0].id: each.value.value
        for each in body
        if isinstance(each, ast.Assign)
        and isinstance(each.targets[0], ast.Name)
        and isinstance(each.value, ast.Constant)
        and isinstance(each.value.value, str)
    }


def _is_condition(call: ast.expr) -> bool:
    return (
        isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "Condition"
    )


def _builders(module: ast.Module) -> Iterator[tuple[str, list[str]]]:
    """Functions that only fill a Condition from their parameters, with the fields in order."""
    for function in ast.walk(module):
        if not isinstance(function, ast.FunctionDef):
            continue
        parameters = [each.arg for each in function.args.args]
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and _is_condition(node):
                filled = {
                    each.value.id: each.arg
                    for each in node.keywords
                    if isinstance(each.value, ast.Name) and each.arg is not None
                }
                if {"type", "reason"} <= {filled.get(name) for name in parameters}:
                    yield function.name, [filled.get(name, name) for name in parameters]


def _imported(
    module: ast.Module, builders: dict[str, dict[str, list[str]]]
) -> Iterator[tuple[str, list[str]]]:
    """Builders of other modules, by the name they have in this one."""
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom):
            for each in node.names:
                order = builders.get(node.module or "", {}).get(each.name)
                if order is not None:
                    yield each.asname or each.name, order


def _siblings(
    name: str, module: ast.Module, modules: dict[str, ast.Module]
) -> Iterator[ast.Module]:
    """The modules of the same folder that a module imports as a whole."""
    folder = name.rpartition(".")[0]
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom) and node.module == folder:
            yield from (modules[f"{folder}.{each.name}"] for each in node.names)


def _arguments(call: ast.Call, builders: dict[str, list[str]]) -> dict[str, ast.expr] | None:
    named = {each.arg: each.value for each in call.keywords if each.arg}
    if _is_condition(call):
        return named
    if isinstance(call.func, ast.Name) and (order := builders.get(call.func.id)):
        return {**dict(zip(order, call.args, strict=False)), **named}
    return None


def _resolved(
    arguments: dict[str, ast.expr], scope: Scope, autoscaler_kinds: set[str]
) -> set[Condition]:
    kind, status, reason = (arguments[name] for name in FIELDS)
    if isinstance(kind, ast.Attribute) or _passed_on(kind, scope):
        return set()  # a copy of a condition, or the builder itself
    (name,) = _texts(kind, scope)
    assert isinstance(status, ast.Constant), ast.unparse(status)
    if isinstance(reason, ast.Attribute) and reason.attr == "kind":
        reasons = autoscaler_kinds
    else:
        reasons = _texts(reason, scope) or set().union(*map(_from_tuples, scope.modules))
    return {Condition(name, STATUS[status.value], each) for each in reasons}


def _passed_on(expression: ast.expr, scope: Scope) -> bool:
    return isinstance(expression, ast.Name) and expression.id not in scope.constants


def _texts(expression: ast.expr, scope: Scope) -> set[str]:
    if isinstance(expression, ast.Constant):
        return {expression.value}
    if isinstance(expression, ast.IfExp):
        return _texts(expression.body, scope) | _texts(expression.orelse, scope)
    if isinstance(expression, ast.Name) and expression.id in scope.constants:
        return {scope.constants[expression.id]}
    return set()


def _from_tuples(module: ast.Module) -> set[str]:
    """Reasons in tuples (reason, message), also in `if reason == "X": return reason, message`."""
    found = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Tuple) and len(node.elts) == 2:
            first = node.elts[0]
            if isinstance(first, ast.Constant) and str(first.value)[:1].isupper():
                found.add(str(first.value))
        elif isinstance(node, ast.If) and isinstance(node.test, ast.Compare):
            found |= _compared(node, node.test)
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LAUNCHER_REASONS":
            found |= {each.value for each in ast.walk(node) if isinstance(each, ast.Constant)}
    return found


def _compared(branch: ast.If, test: ast.Compare) -> set[str]:
    returns = [each for each in branch.body if isinstance(each, ast.Return)]
    for each in returns:
        right = test.comparators[0]
        if (
            isinstance(each.value, ast.Tuple)
            and isinstance(each.value.elts[0], ast.Name)
            and isinstance(test.left, ast.Name)
            and each.value.elts[0].id == test.left.id
            and isinstance(right, ast.Constant)
        ):
            return {str(right.value)}
    return set()
