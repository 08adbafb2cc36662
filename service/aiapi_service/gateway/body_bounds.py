"""Bounds on a JSON text, checked on its bytes before it is parsed.

Parsing and validating cost far more per value than per byte: a few megabytes of empty objects or
of invalid fields would block a worker for seconds and take gigabytes. So the values are counted
before any of them is created, in a time that depends on the size alone.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

MAX_VALUES = 500_000
"""Values in one body: more than the 300,000 token ids that OpenAI accepts in one request."""
MAX_CONTAINERS = 50_000
"""Objects and arrays in one body: 4,096 messages have at most about 20,000."""
MAX_NUMBER_LENGTH = 512
"""Characters of one number. The cost of a number grows with the square of its length."""

_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"{}[]")
_STEPS = {ord("{"): 1, ord("["): 1, ord("}"): -1, ord("]"): -1}
_SPACED = bytes.maketrans(b"{}[],:", b"      ")
# Only such numbers can exceed the largest float, about 1.8e308.
_LARGE_EXPONENT = re.compile(rb"[eE]\+?\d{3}")
_LONGEST_SAFE_NUMBER = 300
_FEW = 4


@dataclass(frozen=True, slots=True)
class Excess:
    """What a body has too much of, with the limit."""

    what: str
    limit: int

    def __str__(self) -> str:
        return f"has more than {self.limit:,} {self.what}"


@dataclass(frozen=True, slots=True)
class Shape:
    """What the bytes tell of a body within the bounds, if it is valid JSON."""

    depth: int
    may_overflow: bool
    """Whether a number may be larger than the largest float."""


def measure(raw: bytes) -> Shape | Excess:
    """The shape of a body, or the bound that it exceeds."""
    unescaped = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Each value has at most two strings: its key and itself.
    if unescaped.count(b'"') > 4 * MAX_VALUES:
        return Excess("values", MAX_VALUES)
    outside = b"".join(unescaped.split(b'"')[::2])
    containers = outside.count(b"{") + outside.count(b"[")
    if containers > MAX_CONTAINERS:
        return Excess("objects and arrays", MAX_CONTAINERS)
    if outside.count(b",") + containers > MAX_VALUES:
        return Excess("values", MAX_VALUES)
    return _measure_numbers(outside, containers)


def _measure_numbers(outside: bytes, containers: int) -> Shape | Excess:
    longest = max(map(len, outside.translate(_SPACED).split()), default=0)
    if longest > MAX_NUMBER_LENGTH:
        return Excess("characters in a number", MAX_NUMBER_LENGTH)
    may_overflow = longest > _LONGEST_SAFE_NUMBER or bool(_LARGE_EXPONENT.search(outside))
    # Most bodies have so few containers that their depth does not matter.
    depth = containers if containers <= _FEW else _depth(outside)
    return Shape(depth, may_overflow)


def _depth(outside: bytes) -> int:
    steps = map(_STEPS.__getitem__, outside.translate(None, _NO_BRACKETS))
    return max(accumulate(steps), default=0)


def field_below(data: Any, limit: int) -> str:
    """The field of the object that is nested deeper than the limit; empty when there is none."""
    level = [("", data)]
    for _ in range(limit):
        level = [
            (path or str(key)[:80], one)
            for path, value in level
            for key, one in _items(value)
            if isinstance(one, dict | list)
        ]
    return level[0][0] if level else ""


def infinite_field(data: Any) -> str | None:
    """The field with a number larger than any float, which JSON cannot represent; None if none."""
    for key, value in _items(data):
        if isinstance(value, dict | list):
            below = infinite_field(value)
            if below is not None:
                return f"{_step(key)}{below}"
        elif isinstance(value, float) and math.isinf(value):
            return _step(key)
    return None


def _items(value: dict[str, Any] | list[Any]) -> Iterator[tuple[str | int, Any]]:
    return iter(value.items()) if isinstance(value, dict) else iter(enumerate(value))


def _step(key: str | int) -> str:
    return f"[{key}]" if isinstance(key, int) else f".{key[:80]}"
