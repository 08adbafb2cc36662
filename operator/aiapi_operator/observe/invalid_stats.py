"""Why an answer is invalid: the field and the rule, in words."""

import re

import msgspec

_PATH = re.compile(r" - at (?:`key` in )?`\$\.?(.*)`$")
_BYTE = re.compile(r"\(byte (\d+)\)")
_NAME = re.compile(rb'"(\w{1,64})"\s*:\s*[-+\w.]*$')


class InvalidStatsError(ValueError):
    """An invalid answer. The message names the field and the rule."""


def described(error: msgspec.ValidationError, parent: str = "") -> str:
    """The field with its path below ``parent``, and the rule that it breaks."""
    text = str(error)
    path = _PATH.search(text)
    below = path[1] if path else ""
    dot = "." if parent and below and not below.startswith("[") else ""
    rule = text[: path.start()] if path else text
    return f"{parent}{dot}{below}: {rule}" if parent or below else f"answer: {rule}"


def malformed(error: msgspec.DecodeError, body: bytes) -> str:
    """As ``described``, for an answer that is not JSON: the field is the one before the fault."""
    place = _BYTE.search(str(error))
    name = _NAME.search(body[max(0, int(place[1]) - 128) : int(place[1])]) if place else None
    return f"{name[1].decode() if name else 'answer'}: {error}"
