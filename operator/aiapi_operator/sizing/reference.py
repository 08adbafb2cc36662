"""Lists all numbers of the right-sizer: ``python -m aiapi_operator.sizing.reference``.

The output is ``docs/tuning.md``; a test fails when they differ. A number is a field of a class
``...Tuning`` or a constant of a module. Its docstring starts with the unit, its first sentence says
what the number is for, and the rest says where it comes from:

    enough: float = 200.0
    \"\"\"Requests for a confident c. The mean of 200 exponential costs is within 7 %.\"\"\"
"""

import ast
import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pkgutil import walk_packages
from types import ModuleType

from aiapi_operator import sizing
from aiapi_operator.sizing.diagnoses import DIAGNOSES
from aiapi_operator.sizing.guards import GUARDS
from aiapi_operator.sizing.learners import LEARNERS
from aiapi_operator.sizing.needs import NEEDS

ENTRIES = {
    "Learners": [learner.learn.__module__ for learner in LEARNERS],
    "Needs": [need.__module__ for need in NEEDS],
    "Guards": [guard.check.__module__ for guard in GUARDS],
    "Diagnoses": [diagnosis.check.__module__ for diagnosis in DIAGNOSES],
}
"""Modules of the entries of each list, in the order of the list."""
HEAD = """# Tuning

<!-- Generated from the code: python -m aiapi_operator.sizing.reference > docs/tuning.md -->

All numbers of the right-sizer, by the file in `operator/aiapi_operator/sizing/` that defines them:
{tuning} tuning numbers, which are fields of a `Tuning`, and {constants} constants. They are not
options: users cannot set them. [How it decides](how-it-decides.md) describes the entries.
"""
TABLE = (
    "| file | number | value | unit | what it is for | source |\n"
    "| --- | --- | --- | --- | --- | --- |\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """One number: its name and value as in the source, and its docstring."""

    name: str
    value: str
    text: str
    tuning: bool
    """Whether it is a field of a ``Tuning``, not a constant of the module."""

    @property
    def unit(self) -> str:
        """The first word of the docstring."""
        return self.text.partition(" ")[0].rstrip(".,").lower()

    @property
    def meaning(self) -> str:
        """The first sentence."""
        return self.text.partition(". ")[0].rstrip(".")

    @property
    def source(self) -> str:
        """The other sentences."""
        return self.text.partition(". ")[2].rstrip(".")


def numbers(module: ModuleType) -> list[Number]:
    """The numbers of one module, in the order of its source."""
    body = ast.parse(inspect.getsource(module)).body
    found: list[Number] = []
    for node in body:
        if isinstance(node, ast.ClassDef) and node.name.endswith("Tuning"):
            found += _numbers(node.body, tuning=True)
    return found + list(_numbers(body, tuning=False))


def _numbers(body: list[ast.stmt], *, tuning: bool) -> Iterator[Number]:
    for node, after in zip(body, [*body[1:], None], strict=True):
        for name, value in _assigned(node):
            if not name.startswith("_") and _is_number(value):
                text, number = _docstring(after), ast.unparse(value)
                yield Number(name=name, value=number, text=text, tuning=tuning)


def _assigned(node: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    """Names and their values: of ``a: float = 1.0``, ``A = 1.0`` or ``A, B = 1.0, 2.0``."""
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
        yield node.target.id, node.value
    elif isinstance(node, ast.Assign):
        target, value = node.targets[0], node.value
        both = isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)
        pairs = zip(target.elts, value.elts, strict=True) if both else [(target, value)]  # type: ignore[attr-defined]
        yield from ((name.id, each) for name, each in pairs if isinstance(name, ast.Name))


def _is_number(value: ast.expr) -> bool:
    if isinstance(value, ast.BinOp):
        return _is_number(value.left) and _is_number(value.right)
    return isinstance(value, ast.Constant) and type(value.value) in (int, float)


def _docstring(node: ast.stmt | None) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return " ".join(str(node.value.value).split())
    return ""


def sections() -> dict[str, list[tuple[str, Number]]]:
    """All numbers with their files, by section."""
    package = f"{sizing.__name__}."
    listed = {name for names in ENTRIES.values() for name in names} | {f"{package}reference"}
    modules = [each.name for each in walk_packages(sizing.__path__, package)]
    others = [name for name in modules if name not in listed]
    return {
        section: [
            (name.removeprefix(package).replace(".", "/") + ".py", number)
            for name in dict.fromkeys(names)
            for number in numbers(import_module(name))
        ]
        for section, names in {**ENTRIES, "Steps and measurement": others}.items()
    }


def render() -> str:
    """The page, as Markdown."""
    found = sections()
    every = [number for section in found.values() for _, number in section]
    tuning = sum(number.tuning for number in every)
    parts = [HEAD.format(tuning=tuning, constants=len(every) - tuning)]
    for section, rows in found.items():
        parts.append(f"\n## {section}\n\n{TABLE}{''.join(_row(*row) for row in rows)}")
    return "".join(parts)


def _row(file: str, number: Number) -> str:
    names = f"`{file}`", f"`{number.name}`", f"`{number.value}`"
    cells = (*names, number.unit, number.meaning, number.source)
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    sys.stdout.write(render())
