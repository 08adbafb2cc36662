"""Kubernetes quantities such as `100m`, `1.5` and `64Mi`: parsing and canonical form."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

_SUFFIXES: dict[str, Decimal] = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    "k": Decimal("1e3"),
    "M": Decimal("1e6"),
    "G": Decimal("1e9"),
    "T": Decimal("1e12"),
    "P": Decimal("1e15"),
    "E": Decimal("1e18"),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}
_QUANTITY = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([numkMGTPE]|[KMGTPE]i)?)$")
_DECIMAL = ("E", "P", "T", "G", "M", "k", "", "m", "u", "n")
_BINARY = ("Ei", "Pi", "Ti", "Gi", "Mi", "Ki", "")


def parse_quantity(value: Any) -> Decimal:
    """The value of a quantity. Raises ValueError when it is not one."""
    found = _QUANTITY.match(str(value))
    if isinstance(value, bool) or not found:
        raise ValueError("quantities must match the regular expression")
    number = Decimal(found[1] + (found[2] or ""))
    return number * _SUFFIXES[found[3] or ""]


def canonical(value: Any) -> str:
    """The canonical form, as stored: the largest suffix that needs no fraction."""
    return _shortest(parse_quantity(value), binary=str(value).endswith("i"))


def format_amount(resource: str, number: Decimal) -> str:
    """A computed amount in canonical form: memory in powers of 1024 where that is exact."""
    return _shortest(number, binary=resource.endswith("memory") and number % 1024 == 0)


def _shortest(number: Decimal, *, binary: bool) -> str:
    if number == 0:
        return "0"
    for suffix in _BINARY if binary else _DECIMAL:
        scaled = number / _SUFFIXES[suffix]
        if scaled == scaled.to_integral_value():
            return f"{int(scaled)}{suffix}"
    return _shortest(number, binary=False) if binary else f"{number:f}"
