"""JSON that others have written. What comes of it can be written as JSON again."""

import json
from typing import Any

from pydantic_core import from_json


def load(body: bytes) -> Any:
    """What it says; ValueError when it is not JSON.

    Half of a surrogate pair, which some upstreams send, becomes a question mark.
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
