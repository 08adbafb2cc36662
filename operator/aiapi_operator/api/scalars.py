"""Types of spec values, with the rules that both the API server and the models check.

The rules stay within the CEL cost budget of the API server: strings are bounded, and patterns on
quantities are short, because CEL assumes the longest possible string there.
"""

import re
from typing import Annotated

from pydantic import Field, Strict

from aiapi_operator.api import duration, quantity
from aiapi_operator.api.rules import Rule

_NAME = r"[A-Za-z_][A-Za-z0-9_]*([.][A-Za-z_][A-Za-z0-9_]*)*"
_APP = f"^{_NAME}:{_NAME}$"
_PRICE = r"^[0-9]{1,9}([.][0-9]{1,9})?$"
_IMAGE = r"^[^ \t\r\n]+$"
_PATH = r"^/[^ ,*?#]*[*]?$"
_MAX_DURATION = "24h"

Int = Annotated[int, Strict()]


def _cel(pattern: str) -> str:
    """A pattern as a CEL raw string."""
    return f"r'{pattern}'"


def _is_positive_duration(text: str) -> bool:
    return duration.is_duration(text) and 0 < duration.parse_duration(text) <= 86_400


def _is_bounded_duration(text: str) -> bool:
    return duration.is_duration(text) and duration.parse_duration(text) <= 86_400


def _is_interval(text: str) -> bool:
    return duration.is_duration(text) and 0.5 <= duration.parse_duration(text) <= 60


def _is_time_to_zero(text: str) -> bool:
    return duration.is_duration(text) and 30 <= duration.parse_duration(text) <= 86_400


def _is_positive_quantity(value: quantity.Quantity) -> bool:
    return not quantity.is_quantity(value) or quantity.parse_quantity(value) > 0


PositiveDuration = Annotated[
    str,
    Field(max_length=32),
    Rule(
        cel=f"self.matches({_cel(duration.PATTERN)}) && duration(self) > duration('0s')"
        f" && duration(self) <= duration('{_MAX_DURATION}')",
        message="must be a duration above zero and at most 24h, such as 800ms, 1.5s or 2m",
        holds=_is_positive_duration,
    ),
]
Duration = Annotated[
    str,
    Field(max_length=32),
    Rule(
        cel=f"self.matches({_cel(duration.PATTERN)})"
        f" && duration(self) <= duration('{_MAX_DURATION}')",
        message="must be a duration of at most 24h, such as 30s, 5m or 1h30m",
        holds=_is_bounded_duration,
    ),
]
Interval = Annotated[
    str,
    Field(max_length=32),
    Rule(
        cel=f"self.matches({_cel(duration.PATTERN)}) && duration(self) >= duration('500ms')"
        " && duration(self) <= duration('60s')",
        message="must be a duration from 500ms to 60s, such as 2s",
        holds=_is_interval,
    ),
]

ToZeroAfter = Annotated[
    str,
    Field(max_length=32),
    Rule(
        cel=f"self.matches({_cel(duration.PATTERN)}) && duration(self) >= duration('30s')"
        f" && duration(self) <= duration('{_MAX_DURATION}')",
        message="must be a duration from 30s to 24h, such as 5m",
        holds=_is_time_to_zero,
    ),
]
PathPattern = Annotated[
    str,
    Field(min_length=1, max_length=128),
    Rule(
        cel=f"self.matches({_cel(_PATH)})",
        message="must be a path that begins with /, with a * only at its end, such as /status or"
        " /internal/*",
        holds=lambda path: re.fullmatch(_PATH, path) is not None,
    ),
]

_SYNTAX = Rule(
    cel=f"type(self) == int || self.matches({_cel(quantity.PATTERN)})",
    message="must be a Kubernetes quantity without a sign, such as 500m, 2, 256Mi or 1.5Gi",
    holds=lambda value: isinstance(value, int) or quantity.is_quantity(value),
)
_POSITIVE = Rule(
    cel=f"type(self) == int ? self > 0 : !self.matches({_cel(quantity.ZERO_PATTERN)})",
    message="must be above zero",
    holds=_is_positive_quantity,
)
_WHOLE_BYTES = Rule(
    cel="type(self) == int || !self.matches('[num]$')",
    message="must be in bytes: write 256Mi instead of 256m (m means a thousandth of a byte)",
    holds=lambda value: isinstance(value, int) or re.search("[num]$", value) is None,
)
Cpu = Annotated[Int | str, _SYNTAX, _POSITIVE]
Memory = Annotated[Int | str, _SYNTAX, _POSITIVE, _WHOLE_BYTES]

Percentile = Annotated[
    float,
    Rule(
        cel="self >= 50.0 && self <= 99.9",
        message="percentile must be from 50 to 99.9, in percent: write 95 instead of 0.95",
        holds=lambda value: 50 <= value <= 99.9,
    ),
]

AppPath = Annotated[
    str,
    Field(max_length=253),
    Rule(
        cel=f"self.matches({_cel(_APP)})",
        message="app must be module:attribute, such as assistant.main:app",
        holds=lambda value: re.fullmatch(_APP, value) is not None,
    ),
]
Image = Annotated[
    str,
    Field(max_length=512),
    Rule(
        cel=f"self.matches({_cel(_IMAGE)})",
        message="image must name a container image, such as ghcr.io/acme/assistant:1.4",
        holds=lambda value: re.fullmatch(_IMAGE, value) is not None,
    ),
]
Price = Annotated[
    str,
    Field(max_length=20),
    Rule(
        cel=f"self.matches({_cel(_PRICE)})",
        message='must be a price of zero or more, written as a string such as "0.031611"',
        holds=lambda value: re.fullmatch(_PRICE, value) is not None,
    ),
]
Currency = Annotated[
    str,
    Field(max_length=3),
    Rule(
        cel="self.matches('^[A-Z]{3}$')",
        message="must be a three-letter currency code, such as USD or EUR",
        holds=lambda value: re.fullmatch("[A-Z]{3}", value) is not None,
    ),
]
