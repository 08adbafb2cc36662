"""What an AIApi says, read again only when it changed.

Manifests are never changed in place, so the same object means the same content.
"""

from dataclasses import dataclass, field
from typing import Any

from aiapi_operator.api import AIApi
from aiapi_operator.cluster.resources import Manifest
from aiapi_operator.manifests import pod_policy
from aiapi_operator.manifests.pod_policy import PodTemplatePolicy


@dataclass(slots=True)
class WantedState:
    """The last result and its input."""

    source: tuple[Any, Any] = (None, None)
    aiapi: AIApi | None = None
    checked: AIApi | None = None
    """The AIApi that the violations are of."""
    violations: list[str] = field(default_factory=list)


def parse(state: WantedState, manifest: Manifest) -> AIApi:
    """The AIApi without its status. Raises pydantic's ``ValidationError``."""
    metadata, spec = source = manifest["metadata"], manifest.get("spec")
    if state.aiapi is None or metadata is not state.source[0] or spec is not state.source[1]:
        state.aiapi = None
        state.aiapi = AIApi.model_validate({**manifest, "status": {}})
        state.source = source
    return state.aiapi


def violations(state: WantedState, aiapi: AIApi, policy: PodTemplatePolicy) -> list[str]:
    """What the administrator's policy forbids in the podTemplate. The policy never changes."""
    if state.checked is not aiapi:
        state.violations = pod_policy.violations(aiapi, policy)
        state.checked = aiapi
    return state.violations
