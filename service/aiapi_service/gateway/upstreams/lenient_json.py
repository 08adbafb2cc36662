"""Parses JSON of upstreams leniently, to data that can be serialized again."""

import json
from typing import Any

from pydantic_core import from_json


def load(body: bytes) -> Any:
    """Parse JSON; ValueError when it is not valid.

    Lone surrogates, which some upstreams send, become question marks.
    """
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError:
        pass
    try:
        text = json.dumps(json.loads(body), ensure_ascii=False)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return from_json(text.encode("utf-8", "replace"), allow_inf_nan=False)
