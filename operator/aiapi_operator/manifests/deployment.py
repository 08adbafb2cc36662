"""The Deployment. It sets no ``spec.replicas``, because the right-sizer scales it."""

from typing import Any

from aiapi_operator.api import AIApi
from aiapi_operator.manifests import pod_template, runtime
from aiapi_operator.manifests.context import Context
from aiapi_operator.manifests.labels import selector
from aiapi_operator.manifests.owner import child_metadata
from aiapi_operator.manifests.runtime import Delivery, Runtime

_UNKNOWN = Runtime(image="", pull_policy="", delivery=Delivery.INIT_CONTAINER)
"""Stands for any runtime, to tell whether a template differs in anything else."""


def build(aiapi: AIApi, context: Context) -> dict[str, Any]:
    """The Deployment."""
    metadata = child_metadata(aiapi, aiapi.name)
    injected = None
    if runtime.is_injected(aiapi, context.default_image):
        injected, record = _runtime(aiapi, context)
        metadata["annotations"] = {runtime.ANNOTATION: record}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            "selector": {"matchLabels": selector(aiapi.name)},
            # A rollout must not shrink the fleet: no pod stops before its replacement serves.
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0},
            },
            "minReadySeconds": 2,
            "revisionHistoryLimit": 3,
            "template": pod_template.build(aiapi, context, injected),
        },
    }


def _runtime(aiapi: AIApi, context: Context) -> tuple[Runtime, str]:
    """The runtime of the pods, and the annotation that records it."""
    template = pod_template.build(aiapi, context, _UNKNOWN)
    basis = runtime.template_hash(template, context.deployment)
    found = runtime.chosen(
        context.runtime, basis, context.deployment, keep_delivery=context.keep_delivery
    )
    return found, runtime.record(found, basis)
