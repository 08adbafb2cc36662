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


_NAMES = (("prompt_tokens", "completion_tokens"), ("input_tokens", "output_tokens"))
"""The names in chats, completions and embeddings, and those in responses."""


def parse_usage(data: Any) -> TokenCounts | None:
    """The tokens of a usage object; None when it is not valid."""
    if not isinstance(data, dict):
        return None
    names = next((both for both in _NAMES if data.keys() & set(both)), _NAMES[0])
    counts = [data.get(name, 0) for name in names]
    if not all(_is_count(count) for count in counts):
        return None
    return TokenCounts(*map(int, counts))


def _is_count(value: Any) -> bool:
    """Some upstreams write 5.0."""
    whole = type(value) is int or (type(value) is float and value.is_integer())
    return whole and 0 <= value < 2**53


def usage_of(data: dict[str, Any]) -> TokenCounts | None:
    """The tokens in a parsed response or event."""
    response = data.get("response")
    inner = response.get("usage") if isinstance(response, dict) else None
    return parse_usage(data.get("usage") or inner)


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
