"""Deep copies of JSON values."""

from __future__ import annotations

from typing import Any


def copy_json(value: Any) -> Any:
    """Deep-copy a JSON value, several times faster than `copy.deepcopy`."""
    if isinstance(value, dict):
        return {key: copy_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [copy_json(item) for item in value]
    return value
