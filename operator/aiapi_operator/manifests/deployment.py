"""The Deployment. It sets no ``spec.replicas``, because the right-sizer scales it."""

from dataclasses import replace
from typing import Any

from aiapi_operator.api import AIApi
from aiapi_operator.manifests import pod_template, runtime, template_workers
from aiapi_operator.manifests.context import Context
from aiapi_operator.manifests.labels import selector
from aiapi_operator.manifests.owner import child_metadata
from aiapi_operator.manifests.runtime import Delivery, Runtime

_UNKNOWN = Runtime(image="", pull_policy="", delivery=Delivery.INIT_CONTAINER)
"""Stands for any runtime, to tell whether a template differs in anything else."""


def build(aiapi: AIApi, context: Context) -> dict[str, Any]:
    """The Deployment."""
    is_injected = runtime.is_injected(aiapi, context.default_image)
    context, annotations = _with_workers(aiapi, context, _UNKNOWN if is_injected else None)
    injected = None
    if is_injected:
        injected, annotations[runtime.ANNOTATION] = _runtime(aiapi, context)
    metadata, strategy = child_metadata(aiapi, aiapi.name), aiapi.spec.strategy
    if annotations:
        metadata["annotations"] = annotations
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            "selector": {"matchLabels": selector(aiapi.name)},
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {
                    "maxSurge": strategy.max_surge,
                    "maxUnavailable": strategy.max_unavailable,
                },
            },
            "minReadySeconds": strategy.min_ready_seconds,
            "progressDeadlineSeconds": strategy.progress_deadline_seconds,
            "revisionHistoryLimit": 3,
            "template": pod_template.build(aiapi, context, injected),
        },
    }


def _with_workers(
    aiapi: AIApi, context: Context, injected: Runtime | None
) -> tuple[Context, dict[str, str]]:
    """The context with the workers of a new pod, and the annotation that records them."""
    if not context.resize_in_place:
        return context, {}
    one = pod_template.build(aiapi, replace(context, template_workers=1), injected)
    basis = runtime.template_hash(one, context.deployment)
    workers = template_workers.chosen(context.template_workers, basis, context.deployment)
    recorded = template_workers.record(workers, basis)
    return replace(context, template_workers=workers), {template_workers.ANNOTATION: recorded}


def _runtime(aiapi: AIApi, context: Context) -> tuple[Runtime, str]:
    """The runtime of the pods, and the annotation that records it."""
    template = pod_template.build(aiapi, context, _UNKNOWN)
    basis = runtime.template_hash(template, context.deployment)
    found = runtime.chosen(
        context.runtime, basis, context.deployment, keep_delivery=context.keep_delivery
    )
    return found, runtime.record(found, basis)
