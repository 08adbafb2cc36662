"""The Secret with the bearer token of the pods' admin port. It is created once and kept."""

import base64
from typing import Any

from aiapi_operator.api import AIApi
from aiapi_operator.manifests.owner import child_metadata

TOKEN_KEY = "token"  # noqa: S105 - the name of the key, not a token


def name(aiapi: AIApi) -> str:
    """The name of the Secret."""
    return f"{aiapi.name}-admin-token"


def build(aiapi: AIApi, token: str) -> dict[str, Any]:
    """The Secret with this token."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": child_metadata(aiapi, name(aiapi)),
        "type": "Opaque",
        "data": {TOKEN_KEY: base64.b64encode(token.encode()).decode()},
    }


def token(secret: dict[str, Any]) -> str | None:
    """The token in a Secret; None where it has none."""
    try:
        return base64.b64decode(secret["data"][TOKEN_KEY], validate=True).decode() or None
    except (KeyError, TypeError, ValueError):
        return None
