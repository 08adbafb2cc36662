"""What an AIApi says, and the children it wants: computed again only when their inputs changed.

Manifests are never changed in place, so the same object means the same content.
"""

from dataclasses import dataclass
from typing import Any

from aiapi_operator.api import AIApi
from aiapi_operator.cluster.resources import Manifest
from aiapi_operator.manifests import Context, desired


@dataclass(slots=True)
class WantedState:
    """The last results and their inputs."""

    source: tuple[Any, Any] = (None, None)
    aiapi: AIApi | None = None
    context: Context | None = None
    children_of: AIApi | None = None
    built: tuple[Manifest, ...] = ()


def parse(state: WantedState, manifest: Manifest) -> AIApi:
    """The AIApi without its status. Raises pydantic's ``ValidationError``."""
    metadata, spec = source = manifest["metadata"], manifest.get("spec")
    if state.aiapi is None or metadata is not state.source[0] or spec is not state.source[1]:
        state.aiapi = None
        state.aiapi = AIApi.model_validate({**manifest, "status": {}})
        state.source = source
    return state.aiapi


def children(state: WantedState, aiapi: AIApi, context: Context) -> tuple[Manifest, ...]:
    """The children, in the order in which they are applied."""
    if state.children_of is not aiapi or state.context != context:
        state.built = desired(aiapi, context)
        state.children_of, state.context = aiapi, context
    return state.built
