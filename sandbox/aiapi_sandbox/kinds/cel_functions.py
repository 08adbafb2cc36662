"""The CEL functions that Kubernetes adds for validation rules."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from aiapi_sandbox.apimachinery.quantities import parse_quantity


def _is_quantity(text: str) -> bool:
    try:
        parse_quantity(text)
    except ValueError:
        return False
    return True


def _is_sorted(items: list[Any]) -> bool:
    return all(a <= b for a, b in pairwise(items))


def _find(text: str, pattern: str) -> str:
    found = re.search(pattern, text)
    return found[0] if found else ""


def _substring(text: str, start: int, end: int | None = None) -> str:
    return text[start:end]


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "quantity": lambda text: float(parse_quantity(text)),
    "isQuantity": _is_quantity,
    "isGreaterThan": lambda a, b: a > b,
    "isLessThan": lambda a, b: a < b,
    "compareTo": lambda a, b: (a > b) - (a < b),
    "asApproximateFloat": float,
    "find": _find,
    "findAll": lambda text, pattern: [found[0] for found in re.finditer(pattern, text)],
    "isSorted": _is_sorted,
    "sum": sum,
    "lowerAscii": lambda text: text.lower(),
    "upperAscii": lambda text: text.upper(),
    "trim": lambda text: text.strip(),
    "split": lambda text, separator: text.split(separator),
    "join": lambda items, separator="": separator.join(items),
    "replace": lambda text, old, new: text.replace(old, new),
    "substring": _substring,
    "indexOf": lambda text, part: text.find(part),
}

# Functions of the CEL library. Macros leave no name in the program; operators have an underscore.
_STANDARD = frozenset(
    {
        "size",
        "matches",
        "contains",
        "startsWith",
        "endsWith",
        "duration",
        "timestamp",
        "int",
        "uint",
        "double",
        "string",
        "bytes",
        "bool",
        "dyn",
        "type",
        "has",
        "max",
        "min",
        "getFullYear",
        "getMonth",
        "getDate",
        "getDayOfMonth",
        "getDayOfWeek",
        "getDayOfYear",
        "getHours",
        "getMinutes",
        "getSeconds",
        "getMilliseconds",
    }
)


def unknown_functions(names: list[str]) -> list[str]:
    return [
        name
        for name in names
        if "_" not in name and name[0] != "@" and name not in _STANDARD and name not in FUNCTIONS
    ]
