"""Finds token usage in a response without parsing all of it. Pure."""

import json
from typing import Any, NamedTuple

_KEY = b'"usage"'
_DECODER = json.JSONDecoder()
# Usage objects are small.
_MAX_BYTES = 4096


class TokenCounts(NamedTuple):
    """Numbers of prompt and completion tokens."""

    prompt: int = 0
    completion: int = 0


def parse_usage(data: Any) -> TokenCounts | None:
    """The tokens of a usage object; None when it is not valid."""
    if not isinstance(data, dict):
        return None
    counts = [data.get(name, 0) for name in ("prompt_tokens", "completion_tokens")]
    if not all(isinstance(count, int) and 0 <= count < 2**53 for count in counts):
        return None
    return TokenCounts(*counts)


def find_usage(text: bytes) -> TokenCounts | None:
    """The tokens in the last usage object of a JSON text.

    Text of the model cannot be mistaken for the key, since quotes in strings are escaped.
    """
    at = text.rfind(_KEY)
    if at < 0:
        return None
    rest = text[at + len(_KEY) : at + len(_KEY) + _MAX_BYTES].decode("utf-8", "replace").lstrip()
    if not rest.startswith(":"):
        return None
    try:
        data, _ = _DECODER.raw_decode(rest[1:].lstrip())
    except ValueError:
        return None
    return parse_usage(data)


def request_usage(raw: bytes) -> bytes:
    """Add `include_usage` to the body of a streaming request, without parsing it."""
    return raw.replace(b"{", b'{"stream_options":{"include_usage":true},', 1)
