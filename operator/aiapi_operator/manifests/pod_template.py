"""The pod of an AIApi. It meets the *restricted* Pod Security Standard."""

from typing import Any

from aiapi_operator.api import AIApi
from aiapi_operator.manifests import app_container, runtime, secret, service_account
from aiapi_operator.manifests.context import Context
from aiapi_operator.manifests.labels import labels, selector
from aiapi_operator.manifests.overlay import merge, set_fields
from aiapi_operator.manifests.required_fields import restore_required
from aiapi_operator.manifests.runtime import Runtime

_NONROOT_USER = 65532
"""The user of the project's images. Set here so that any image runs without root."""


def build(aiapi: AIApi, context: Context, injected: Runtime | None = None) -> dict[str, Any]:
    """The pod template with the runtime to inject, merged with the user's podTemplate."""
    spec = _spec(aiapi, context)
    generated: dict[str, Any] = {
        "metadata": {"labels": labels(aiapi.name)},
        "spec": spec if injected is None else runtime.inject(spec, aiapi, injected),
    }
    return restore_required(generated, merge(generated, set_fields(aiapi.spec.pod_template)))


def _spec(aiapi: AIApi, context: Context) -> dict[str, Any]:
    return {
        "serviceAccountName": service_account.name(aiapi),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        **service_account.pull_secrets(aiapi, context),
        "terminationGracePeriodSeconds": app_container.grace_period(aiapi),
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _NONROOT_USER,
            "runAsGroup": _NONROOT_USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [app_container.build(aiapi, context)],
        "volumes": [_token_volume(aiapi), _scratch_volume()],
        "topologySpreadConstraints": [
            _spread(aiapi, "kubernetes.io/hostname"),
            _spread(aiapi, "topology.kubernetes.io/zone"),
        ],
    }


def _token_volume(aiapi: AIApi) -> dict[str, Any]:
    return {
        "name": app_container.TOKEN_VOLUME,
        "secret": {"secretName": secret.name(aiapi), "defaultMode": 0o444},
    }


def _scratch_volume() -> dict[str, Any]:
    return {"name": app_container.SCRATCH_VOLUME, "emptyDir": {}}


def _spread(aiapi: AIApi, topology: str) -> dict[str, Any]:
    """Preferred, not required: an unevenly placed pod is better than no pod."""
    return {
        "maxSkew": 1,
        "topologyKey": topology,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": selector(aiapi.name)},
    }
