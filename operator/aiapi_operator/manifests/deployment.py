"""The Deployment. It sets no ``spec.replicas``, because the right-sizer scales it."""

from typing import Any

from aiapi_operator.api import AIApi
from aiapi_operator.manifests import pod_template
from aiapi_operator.manifests.context import Context
from aiapi_operator.manifests.labels import selector
from aiapi_operator.manifests.owner import child_metadata


def build(aiapi: AIApi, context: Context) -> dict[str, Any]:
    """The Deployment."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": child_metadata(aiapi, aiapi.name),
        "spec": {
            "selector": {"matchLabels": selector(aiapi.name)},
            # A rollout must not shrink the fleet: no pod stops before its replacement serves.
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0},
            },
            "minReadySeconds": 2,
            "revisionHistoryLimit": 3,
            "template": pod_template.build(aiapi, context),
        },
    }
