"""The ServiceAccount of the pods. It has no token, because apps do not need the Kubernetes API."""

from typing import Any

from aiapi_operator.api import AIApi
from aiapi_operator.manifests.context import Context
from aiapi_operator.manifests.owner import child_metadata
from aiapi_operator.manifests.runtime import is_injected


def name(aiapi: AIApi) -> str:
    """The name has a suffix: an AIApi called ``default`` would take the namespace's account."""
    return f"{aiapi.name}-aiapi"


def build(aiapi: AIApi, context: Context) -> dict[str, Any]:
    """The ServiceAccount."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": child_metadata(aiapi, name(aiapi)),
        "automountServiceAccountToken": False,
        **pull_secrets(aiapi, context),
    }


def pull_secrets(aiapi: AIApi, context: Context) -> dict[str, Any]:
    """The field with the secrets of the operator's registry, where the pods use it."""
    uses_registry = not aiapi.spec.image or is_injected(aiapi, context.default_image)
    if not uses_registry or not context.image_pull_secrets:
        return {}
    return {"imagePullSecrets": [{"name": each} for each in context.image_pull_secrets]}
