"""The app container: runs ``aiapi-serve`` with restricted privileges."""

from collections.abc import Mapping
from math import ceil
from typing import Any

from aiapi_operator.api import AIApi
from aiapi_operator.api.container import APP_CONTAINER, PodDefault
from aiapi_operator.api.duration import parse_duration
from aiapi_operator.manifests.context import Context
from aiapi_operator.manifests.ports import ADMIN, HTTP
from aiapi_operator.manifests.resources import requests
from aiapi_operator.manifests.secret import TOKEN_KEY

TOKEN_VOLUME = "admin-token"  # noqa: S105 - the name of a volume
TOKEN_FOLDER = "/var/run/secrets/aiapi.dev"  # noqa: S105 - where the Secret is mounted
SCRATCH_VOLUME = "tmp"
SCRATCH_FOLDER = "/tmp"  # noqa: S108 - an emptyDir of the pod

SIZE_WAIT = 10
"""Seconds that a new pod waits for its first PUT /workers before it reports ready. The same in
all modes: a change of mode must not roll the pods."""
GRACE_PERIOD = 30
"""Least default of terminationGracePeriodSeconds."""
_LONGEST_GRACE = 86_400
_LONGER_THAN_THRESHOLD = 2
"""A percentile of the responses meets the threshold of the objective; the others take longer."""
DRAIN_DELAY = 3
"""Seconds that a terminating pod keeps accepting, until no endpoint lists it."""
_MARGIN = 2
AROUND_DRAIN = DRAIN_DELAY + _MARGIN
"""Seconds of the grace period that responses do not have."""


def build(aiapi: AIApi, context: Context) -> dict[str, Any]:
    """The app container."""
    spec = aiapi.spec
    container: dict[str, Any] = {
        "name": APP_CONTAINER,
        "image": spec.image or context.default_image,
        "command": ["aiapi-serve"],
        "ports": [HTTP.manifest(), ADMIN.manifest()],
        "env": _env(aiapi, context),
        # The launcher and the runtime explain in their last line why they cannot start.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "resources": {"requests": requests(spec.workers, context.template_workers)},
        "volumeMounts": [
            {"name": TOKEN_VOLUME, "mountPath": TOKEN_FOLDER, "readOnly": True},
            {"name": SCRATCH_VOLUME, "mountPath": SCRATCH_FOLDER},
        ],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        **_probes(aiapi, context),
    }
    if spec.app is not None:
        container["args"] = [spec.app]
    if spec.env_from:
        container["envFrom"] = [source.manifest() for source in spec.env_from]
    if context.resize_in_place:
        container["resizePolicy"] = [
            {"resourceName": resource, "restartPolicy": "NotRequired"}
            for resource in ("cpu", "memory")
        ]
    return container


def workers_of(deployment: Mapping[str, Any]) -> int:
    """The workers in the template of a Deployment; 0 where it has none."""
    spec = (deployment.get("spec") or {}).get("template", {}).get("spec", {})
    for container in spec.get("containers") or ():
        if container.get("name") == APP_CONTAINER:
            values = {e["name"]: e.get("value", "") for e in container.get("env") or ()}
            workers = values.get("AIAPI_WORKERS", "")
            return int(workers) if workers.isdigit() else 0
    return 0


def grace_period(aiapi: AIApi) -> int:
    """The pod's terminationGracePeriodSeconds."""
    return aiapi.spec.pod_template.spec.termination_grace_period_seconds or _derived(aiapi)


def drain_seconds(aiapi: AIApi) -> int:
    """Seconds that a pod has for its open responses when it ends."""
    return grace_period(aiapi) - AROUND_DRAIN


def _derived(aiapi: AIApi) -> int:
    """Long enough for responses that meet the objective, and for most that do not."""
    latency = aiapi.spec.objective.effective.latency
    threshold = parse_duration(latency.threshold) if latency is not None else 0.0
    longest = ceil(_LONGER_THAN_THRESHOLD * threshold) + AROUND_DRAIN
    return min(_LONGEST_GRACE, max(GRACE_PERIOD, longest))


def _env(aiapi: AIApi, context: Context) -> list[dict[str, Any]]:
    """The operator's variables come first, so that the user's can refer to them."""
    values: dict[str, int | str] = {
        "AIAPI_WORKERS": context.template_workers,
        "AIAPI_SIZE_WAIT": SIZE_WAIT,
        "AIAPI_DRAIN_DELAY": DRAIN_DELAY,
        "AIAPI_GRACE": drain_seconds(aiapi),
        "AIAPI_PORT": HTTP.number,
        "AIAPI_ADMIN_PORT": ADMIN.number,
        "AIAPI_ADMIN_TOKEN_FILE": f"{TOKEN_FOLDER}/{TOKEN_KEY}",
    }
    if context.admin_tls:
        values["AIAPI_ADMIN_TLS_DIR"] = TOKEN_FOLDER
    if ignored := aiapi.spec.scaling.idle.ignore_paths:
        values["AIAPI_IDLE_IGNORE_PATHS"] = ",".join(ignored)
    given = [variable.manifest() for variable in aiapi.spec.env]
    taken = {variable["name"] for variable in given}
    about = [_from_field("POD_NAME", "metadata.name"), _from_field("POD_IP", "status.podIP")]
    return [
        *({"name": name, "value": str(value)} for name, value in values.items()),
        *(variable for variable in about if variable["name"] not in taken),
        *given,
    ]


def _from_field(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}


def _probes(aiapi: AIApi, context: Context) -> dict[str, Any]:
    """All probes use the admin port, which answers even while every worker is busy.

    The startup probe checks PID 1 only: an import error of the app is reported by the admin port,
    and restarts would hide it.
    """
    omitted, scheme = aiapi.spec.pod_template.omit, "HTTPS" if context.admin_tls else "HTTP"
    probes = {"readinessProbe": _probe("/readyz", scheme, period=1, timeout=2, failures=3)}
    if PodDefault.STARTUP_PROBE not in omitted:
        probes["startupProbe"] = _probe("/livez", scheme, period=1, timeout=2, failures=60)
    if PodDefault.LIVENESS_PROBE not in omitted:
        probes["livenessProbe"] = _probe("/livez", scheme, period=10, timeout=5, failures=3)
    return probes


def _probe(path: str, scheme: str, *, period: int, timeout: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": ADMIN.name, "scheme": scheme},
        "periodSeconds": period,
        "timeoutSeconds": timeout,
        "failureThreshold": failures,
    }
