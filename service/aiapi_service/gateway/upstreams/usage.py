"""Finds the tokens that an answer says it used, without parsing all of it. Pure."""

import json
from typing import Any, NamedTuple

_KEY = b'"usage"'
_DECODER = json.JSONDecoder()
# A usage object is small; more than this behind the key is something else.
_MOST_BYTES = 4096


class TokenCounts(NamedTuple):
    """What was read and written."""

    prompt: int = 0
    completion: int = 0


def parse_usage(data: Any) -> TokenCounts | None:
    """The tokens in a usage object; None when it is none."""
    if not isinstance(data, dict):
        return None
    counts = [data.get(name, 0) for name in ("prompt_tokens", "completion_tokens")]
    if not all(isinstance(count, int) and 0 <= count < 2**53 for count in counts):
        return None
    return TokenCounts(*counts)


def find_usage(text: bytes) -> TokenCounts | None:
    """The tokens in the last usage object of a JSON text.

    Inside a string the key's quotes are escaped, so what a model says cannot be taken for it.
    """
    at = text.rfind(_KEY)
    if at < 0:
        return None
    rest = text[at + len(_KEY) : at + len(_KEY) + _MOST_BYTES].decode("utf-8", "replace").lstrip()
    if not rest.startswith(":"):
        return None
    try:
        data, _ = _DECODER.raw_decode(rest[1:].lstrip())
    except ValueError:
        return None
    return parse_usage(data)


def request_usage(raw: bytes) -> bytes:
    """A streaming request's body with the wish for usage added, without writing it anew."""
    return raw.replace(b"{", b'{"stream_options":{"include_usage":true},', 1)
