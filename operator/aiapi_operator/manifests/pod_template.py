"""The pod of an AIApi. It meets the *restricted* Pod Security Standard."""

from typing import Any

from aiapi_operator.api import AIApi
from aiapi_operator.api.container import PodDefault
from aiapi_operator.manifests import app_container, mesh, runtime, secret, service_account
from aiapi_operator.manifests.context import Context
from aiapi_operator.manifests.labels import labels, selector
from aiapi_operator.manifests.overlay import merge, set_fields
from aiapi_operator.manifests.required_fields import restore_required
from aiapi_operator.manifests.runtime import Runtime

_NONROOT_USER = 65532
"""Set so that any image runs without root. The project's own images name this user themselves."""

SCHEME_ANNOTATION = "aiapi.dev/admin-scheme"
"""Annotation of pods that serve TLS on their admin port, for Prometheus."""


def build(aiapi: AIApi, context: Context, injected: Runtime | None = None) -> dict[str, Any]:
    """The pod template with the runtime to inject, merged with the user's podTemplate."""
    spec = _spec(aiapi, context)
    generated: dict[str, Any] = {
        "metadata": {"labels": labels(aiapi.name), **_annotations(context)},
        "spec": spec if injected is None else runtime.inject(spec, aiapi, injected),
    }
    overlay = set_fields(aiapi.spec.pod_template)
    overlay.pop("omit", None)
    return restore_required(generated, merge(generated, overlay))


def _annotations(context: Context) -> dict[str, Any]:
    scheme = {SCHEME_ANNOTATION: "https"} if context.admin_tls else {}
    found = mesh.annotations(context.mesh) | scheme
    return {"annotations": found} if found else {}


def _spec(aiapi: AIApi, context: Context) -> dict[str, Any]:
    omitted = aiapi.spec.pod_template.omit
    spread = {} if PodDefault.TOPOLOGY_SPREAD in omitted else _spreads(aiapi)
    return {
        "serviceAccountName": service_account.name(aiapi),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        **service_account.pull_secrets(aiapi, context),
        "terminationGracePeriodSeconds": app_container.grace_period(aiapi),
        "securityContext": {
            "runAsNonRoot": True,
            **_user(aiapi, context),
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [app_container.build(aiapi, context)],
        "volumes": [_token_volume(aiapi), _scratch_volume()],
        **spread,
    }


def _user(aiapi: AIApi, context: Context) -> dict[str, Any]:
    """The user, unless the image or the cluster names one."""
    is_named = context.assigns_users or runtime.is_own_image(aiapi, context.default_image)
    if is_named or PodDefault.RUN_AS_USER in aiapi.spec.pod_template.omit:
        return {}
    return {"runAsUser": _NONROOT_USER, "runAsGroup": _NONROOT_USER}


def _token_volume(aiapi: AIApi) -> dict[str, Any]:
    return {
        "name": app_container.TOKEN_VOLUME,
        "secret": {"secretName": secret.name(aiapi), "defaultMode": 0o444},
    }


def _scratch_volume() -> dict[str, Any]:
    return {"name": app_container.SCRATCH_VOLUME, "emptyDir": {}}


def _spreads(aiapi: AIApi) -> dict[str, Any]:
    topologies = ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
    return {"topologySpreadConstraints": [_spread(aiapi, each) for each in topologies]}


def _spread(aiapi: AIApi, topology: str) -> dict[str, Any]:
    """Preferred, not required: an unevenly placed pod is better than no pod.

    Only pods of one template count. The pods that a rollout replaces would else decide where the
    new ones go, and leave them uneven.
    """
    return {
        "maxSkew": 1,
        "topologyKey": topology,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": selector(aiapi.name)},
        "matchLabelKeys": ["pod-template-hash"],
    }
