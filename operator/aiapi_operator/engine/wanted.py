"""What an AIApi says, read again only when it changed.

Manifests are never changed in place, so the same object means the same content.
"""

from dataclasses import dataclass
from typing import Any

from aiapi_operator.api import AIApi
from aiapi_operator.cluster.resources import Manifest


@dataclass(slots=True)
class WantedState:
    """The last result and its input."""

    source: tuple[Any, Any] = (None, None)
    aiapi: AIApi | None = None


def parse(state: WantedState, manifest: Manifest) -> AIApi:
    """The AIApi without its status. Raises pydantic's ``ValidationError``."""
    metadata, spec = source = manifest["metadata"], manifest.get("spec")
    if state.aiapi is None or metadata is not state.source[0] or spec is not state.source[1]:
        state.aiapi = None
        state.aiapi = AIApi.model_validate({**manifest, "status": {}})
        state.source = source
    return state.aiapi
