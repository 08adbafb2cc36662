"""The pod of an AIApi. It meets the *restricted* Pod Security Standard."""

from typing import Any

from aiapi_operator.api import AIApi
from aiapi_operator.manifests import app_container, secret, service_account
from aiapi_operator.manifests.context import Context
from aiapi_operator.manifests.labels import labels, selector
from aiapi_operator.manifests.needs import put_back
from aiapi_operator.manifests.overlay import given, merge

_NOBODY = 65532
"""The user of the project's images; set here, so that any image runs without root."""


def build(aiapi: AIApi, context: Context) -> dict[str, Any]:
    """The pod template, with the user's podTemplate laid over it."""
    generated: dict[str, Any] = {
        "metadata": {"labels": labels(aiapi.name)},
        "spec": {
            "serviceAccountName": service_account.name(aiapi),
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": app_container.grace_period(aiapi),
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": _NOBODY,
                "runAsGroup": _NOBODY,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [app_container.build(aiapi, context)],
            "volumes": [_token_volume(aiapi), _scratch_volume()],
            "topologySpreadConstraints": [
                _spread(aiapi, "kubernetes.io/hostname"),
                _spread(aiapi, "topology.kubernetes.io/zone"),
            ],
        },
    }
    return put_back(generated, merge(generated, given(aiapi.spec.pod_template)))


def _token_volume(aiapi: AIApi) -> dict[str, Any]:
    return {
        "name": app_container.TOKEN_VOLUME,
        "secret": {"secretName": secret.name(aiapi), "defaultMode": 0o444},
    }


def _scratch_volume() -> dict[str, Any]:
    return {"name": app_container.SCRATCH_VOLUME, "emptyDir": {}}


def _spread(aiapi: AIApi, topology: str) -> dict[str, Any]:
    """Preferred, not required: a pod in the wrong place is better than none."""
    return {
        "maxSkew": 1,
        "topologyKey": topology,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": selector(aiapi.name)},
    }
