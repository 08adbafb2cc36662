"""The pods' identity: one without a token, since the app has no business with the API server."""

from typing import Any

from aiapi_operator.api import AIApi
from aiapi_operator.manifests.owner import child_metadata


def name(aiapi: AIApi) -> str:
    """Not the AIApi's own name: one called ``default`` would take the namespace's account."""
    return f"{aiapi.name}-aiapi"


def build(aiapi: AIApi) -> dict[str, Any]:
    """The ServiceAccount."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": child_metadata(aiapi, name(aiapi)),
        "automountServiceAccountToken": False,
    }
