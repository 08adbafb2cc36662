"""Inputs of the children besides the AIApi."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiapi_operator.manifests.mesh import Mesh
from aiapi_operator.manifests.runtime import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The operator's configuration, and the workers in the pod template."""

    operator_namespace: str
    """The operator's namespace: the only one that may reach the pods' admin port."""
    default_image: str
    """Image of an AIApi that sets no image."""
    image_pull_secrets: tuple[str, ...] = ()
    """Image pull secrets of an AIApi that sets no image or has an injected runtime."""
    template_workers: int
    """Workers of a new pod: ``spec.workers.min`` with in-place resize, else the wanted number.
    With in-place resize, a Deployment keeps the number until its template changes otherwise."""
    resize_in_place: bool
    """Whether the API server has ``pods/resize``."""
    assigns_users: bool = False
    """Whether the cluster assigns users to pods and rejects others, as OpenShift does."""
    mesh: Mesh = Mesh.NONE
    metrics_from: Mapping[str, str] = field(default_factory=dict)
    """Labels of other namespaces that may scrape the pods; empty for none."""
    admin_tls: bool = True
    """Whether pods serve TLS on their admin port."""
    runtime: Runtime
    """The runtime to inject into images that do not have it."""
    keep_delivery: bool = True
    """Whether a Deployment keeps its delivery of the runtime: the user has chosen none."""
    deployment: Mapping[str, Any] | None = None
    """The present Deployment, which keeps its runtime; None before it is created."""
