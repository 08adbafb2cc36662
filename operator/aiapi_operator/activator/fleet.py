"""An AIApi and its pods, as far as the activator needs them. Pure."""

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from aiapi_operator.api.container import APP_CONTAINER
from aiapi_operator.api.spec import Workers
from aiapi_operator.cluster.resources import INSTANCE_LABEL, Manifest

Key = tuple[str, str]
"""Namespace and name of an AIApi."""

_MAX_WORKERS: int = Workers.model_fields["max"].default
_HTTP_PORT = 8000
_ADMIN_PORT = 9000


class Readiness(enum.Enum):
    """What a pod answered when it was last asked."""

    NONE = enum.auto()
    """No worker serves."""
    A_WORKER = enum.auto()
    """Its first worker serves. The operator has not set the number of workers yet."""
    ALL = enum.auto()
    """All of its workers serve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """One AIApi."""

    key: Key
    port: int | None = None
    """The activators' port for this AIApi; None while they are not in its data path."""
    phase: str = ""
    """Serving, Leaving, Asleep or Waking."""
    wake_replicas: int = 1
    """Pods to wake for the forecast at this time of day."""
    pod_concurrency: int | None = None
    """Held requests that one pod can take; None while that is not known."""
    max_replicas: int | None = None
    max_workers: int = _MAX_WORKERS
    """Workers of a pod that takes ``pod_concurrency`` requests."""
    ignore_paths: tuple[str, ...] = ()
    not_ready: str = ""
    """The reason of the condition Ready while that is False."""

    def in_flight_limit(self, readiness: Readiness) -> int | None:
        """Requests for one pod at a time; None if they are not limited.

        Once the fleet serves, other clients reach the pods directly and the activator sees only a
        part of the load, so it does not limit it. A single worker gets one request at a time
        while nobody knows what it can take.
        """
        woken = self.phase in ("Asleep", "Waking")
        if readiness is Readiness.ALL:
            return self.pod_concurrency if woken else None
        if readiness is Readiness.A_WORKER and woken:
            return max(1, (self.pod_concurrency or 0) // self.max_workers)
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """One pod that may get requests once it answered a probe."""

    name: str
    uid: str
    address: str
    port: int = _HTTP_PORT
    admin_port: int = _ADMIN_PORT
    admin_scheme: str = "http"

    @property
    def readiness_url(self) -> str:
        """Where the pod says whether it is ready; IPv6 addresses go in brackets."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.admin_scheme}://{host}:{self.admin_port}/readyz"


def key_of(manifest: Manifest) -> Key:
    """Namespace and name of an AIApi."""
    return manifest["metadata"]["namespace"], manifest["metadata"]["name"]


def owner_of(pod: Manifest) -> Key:
    """Namespace and name of the AIApi that a pod belongs to."""
    metadata = pod["metadata"]
    return metadata["namespace"], (metadata.get("labels") or {}).get(INSTANCE_LABEL, "")


def fleet_of(aiapi: Manifest) -> Fleet:
    """Read an AIApi. Unknown and missing fields count as absent: the CRD may be older or newer."""
    spec, status = aiapi.get("spec") or {}, aiapi.get("status") or {}
    activation = status.get("activation") or {}
    idle = (spec.get("scaling") or {}).get("idle") or {}
    return Fleet(
        key=key_of(aiapi),
        port=activation.get("port"),
        phase=activation.get("phase") or "",
        wake_replicas=max(1, activation.get("wakeReplicas") or 1),
        pod_concurrency=activation.get("podConcurrency") or None,
        max_replicas=(spec.get("replicas") or {}).get("max"),
        max_workers=(spec.get("workers") or {}).get("max") or _MAX_WORKERS,
        ignore_paths=tuple(idle.get("ignorePaths") or ()),
        not_ready=_not_ready(status.get("conditions") or ()),
    )


def _not_ready(conditions: Iterable[dict[str, Any]]) -> str:
    for condition in conditions:
        if condition.get("type") == "Ready" and condition.get("status") == "False":
            return str(condition.get("reason") or "Unknown")
    return ""


def pod_of(pod: Manifest) -> Pod | None:
    """Read a Pod; None while its app container does not run or once it terminates."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    address = status.get("podIP")
    if not address or metadata.get("deletionTimestamp") or not _runs(status):
        return None
    container = _named(pod["spec"].get("containers"))
    ports = {each.get("name"): each.get("containerPort") for each in container.get("ports") or ()}
    return Pod(
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        address=address,
        port=ports.get("http") or _HTTP_PORT,
        admin_port=ports.get("admin") or _ADMIN_PORT,
        admin_scheme=_scheme(container),
    )


def _runs(status: dict[str, Any]) -> bool:
    return "running" in (_named(status.get("containerStatuses")).get("state") or {})


def _named(containers: Iterable[dict[str, Any]] | None) -> dict[str, Any]:
    return next((each for each in containers or () if each.get("name") == APP_CONTAINER), {})


def _scheme(container: dict[str, Any]) -> str:
    probe = (container.get("readinessProbe") or {}).get("httpGet") or {}
    return "https" if probe.get("scheme") == "HTTPS" else "http"
