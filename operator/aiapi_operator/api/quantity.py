"""Kubernetes quantities: 500m, 2, 1e3, 256Mi, 1.5Gi.

Arithmetic is exact (``Decimal``): requests are multiplied by the number of workers and written
back, and server-side apply would treat a rounding difference as a change.
"""

import re
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache
from typing import TypeAlias

Quantity: TypeAlias = int | str

PATTERN = r"^([0-9]{1,15}[.]?[0-9]{0,9}|[.][0-9]{1,9})([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]{1,2})?$"
ZERO_PATTERN = r"^[0.]+([a-zA-Z].*)?$"

_PARSED = 4096
"""Values that are kept, because all pods of a fleet have the same."""
_SPLIT = re.compile(r"([0-9.]+)(.*)")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}


def is_quantity(value: Quantity) -> bool:
    """Whether ``value`` is a valid, non-negative quantity."""
    if isinstance(value, int):
        return value >= 0
    return re.fullmatch(PATTERN, value) is not None


@lru_cache(_PARSED)
def parse_quantity(value: Quantity) -> Decimal:
    """The exact value of a quantity."""
    if not is_quantity(value):
        raise ValueError(
            f"{value!r} is not a quantity: use a value such as 500m, 2, 256Mi or 1.5Gi"
        )
    match = _SPLIT.fullmatch(str(value))
    if match is None:
        raise ValueError(f"{value!r} is not a quantity")
    number, suffix = Decimal(match[1]), match[2]
    if suffix in _BINARY:
        return number * Decimal(1 << _BINARY[suffix])
    exponent = _DECIMAL[suffix] if suffix in _DECIMAL else int(suffix[1:])
    return number.scaleb(exponent)


def parse_cores(value: Quantity) -> float:
    """CPU in cores."""
    return float(parse_quantity(value))


def parse_bytes(value: Quantity) -> int:
    """Memory in whole bytes, rounded up."""
    return int(parse_quantity(value).to_integral_value(rounding=ROUND_CEILING))


def format_cpu(cores: Decimal | float) -> str:
    """CPU in canonical form: 500m, 2, 1500m."""
    milli = int((Decimal(str(cores)) * 1000).to_integral_value(rounding=ROUND_CEILING))
    return f"{milli}m" if milli % 1000 else str(milli // 1000)


def format_memory(octets: int) -> str:
    """Memory with the largest binary suffix that divides it: 256Mi, 1Gi, 1000."""
    for suffix, power in reversed(_BINARY.items()):
        if octets and octets % 2**power == 0:
            return f"{octets >> power}{suffix}"
    return str(octets)
