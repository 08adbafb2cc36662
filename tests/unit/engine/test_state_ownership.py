"""Each part of the engine's state is changed only by the module that defines it."""

import ast
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
from engine_support.world import aiapi

from aiapi_operator.engine import aiapi_state
from aiapi_operator.engine.aiapi_state import AIApiState

PACKAGE = Path(aiapi_state.__file__).parents[1]
FILES = sorted(PACKAGE.rglob("*.py"))
MUTATORS = {
    *("add", "append", "clear", "discard", "extend", "insert", "pop", "popitem", "remove"),
    *("setdefault", "sort", "update"),
}


def owners() -> dict[str, str]:
    """The module that owns each field, by field. ``AIApiState`` owns the parts themselves."""
    state = AIApiState(aiapi())
    found = dict.fromkeys(vars(state), AIApiState.__module__)
    for part in parts(state).values():
        found |= {field.name: type(part).__module__ for field in fields(part)}
    return found


def parts(state: AIApiState) -> dict[str, Any]:
    """The parts by name. The reference is a value: it never changes."""
    named = vars(state).items()
    return {name: each for name, each in named if is_dataclass(each) and name != "ref"}


def changes(tree: ast.AST) -> Iterator[ast.Attribute]:
    """Attributes of other objects than ``self`` that are assigned, deleted or mutated."""
    for node in ast.walk(tree):
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign | ast.Delete):
            targets = node.targets
        elif isinstance(node, ast.AugAssign | ast.AnnAssign):
            targets = [node.target]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            targets = [node.func.value] if node.func.attr in MUTATORS else []
        for target in targets:
            yield from _attributes(target)


def _attributes(target: ast.expr) -> Iterator[ast.Attribute]:
    if isinstance(target, ast.Tuple | ast.List):
        for element in target.elts:
            yield from _attributes(element)
    elif isinstance(target, ast.Subscript | ast.Starred):
        yield from _attributes(target.value)
    elif isinstance(target, ast.Attribute):
        yield target


def is_self(attribute: ast.Attribute) -> bool:
    return isinstance(attribute.value, ast.Name) and attribute.value.id == "self"


def module_of(path: Path) -> str:
    return ".".join(("aiapi_operator", *path.relative_to(PACKAGE).with_suffix("").parts))


def violations(path: Path) -> list[str]:
    module, owner = module_of(path), owners()
    return [
        f"{module}:{attribute.lineno} changes {attribute.attr} of {owner[attribute.attr]}"
        for attribute in changes(ast.parse(path.read_text(encoding="utf-8")))
        if not is_self(attribute) and owner.get(attribute.attr, module) != module
    ]


@pytest.mark.parametrize("path", sorted((PACKAGE / "engine").glob("*.py")), ids=lambda p: p.stem)
def test_a_module_changes_only_the_state_it_owns(path: Path) -> None:
    assert violations(path) == []


def test_no_other_package_changes_the_state() -> None:
    users = [
        path
        for path in FILES
        if path.parent.name != "engine" and "aiapi_state" in path.read_text(encoding="utf-8")
    ]
    assert [found for path in users for found in violations(path)] == []


def test_no_field_has_two_owners() -> None:
    found = parts(AIApiState(aiapi())).values()
    modules = [type(part).__module__ for part in found]
    names = [field.name for part in found for field in fields(part)]
    assert len(set(modules)) == len(modules)
    assert len(set(names)) == len(names)


def test_a_violation_is_found() -> None:
    tree = ast.parse("state.children.applied['Service'] = 1\nstate.actuator.sized.add('x')")
    assert [attribute.attr for attribute in changes(tree)] == ["applied", "sized"]


def test_a_new_term_creates_every_part() -> None:
    state = AIApiState(aiapi())
    before = parts(state)
    state.start_term(2)
    for name, part in before.items():
        assert getattr(state, name) is not part
