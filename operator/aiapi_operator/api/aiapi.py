"""The AIApi resource as a whole, as it comes from the API server."""

import re
from typing import Annotated, ClassVar

from pydantic import Field

from aiapi_operator.api.model import LenientModel
from aiapi_operator.api.rules import Rule
from aiapi_operator.api.spec import AIApiSpec
from aiapi_operator.api.status import AIApiStatus

GROUP = "aiapi.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "AIApi"
PLURAL = "aiapis"
SINGULAR = "aiapi"
SHORT_NAME = "aia"

MAX_NAME_LENGTH = 52
_NAME = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"


NAME_RULE = Rule(
    cel=f"size(self.metadata.name) <= {MAX_NAME_LENGTH} && self.metadata.name.matches('{_NAME}')",
    message=f"metadata.name must have {MAX_NAME_LENGTH} characters at most, lower-case letters,"
    " digits and dashes, and begin with a letter: the Service takes its name from it",
    holds=lambda aiapi: (
        len(aiapi.metadata.name) <= MAX_NAME_LENGTH
        and re.fullmatch(_NAME, aiapi.metadata.name) is not None
    ),
)


class Metadata(LenientModel):
    """What the operator reads of the object's metadata."""

    name: str
    """Name, unique in the namespace."""
    namespace: str = "default"
    """Namespace of the AIApi and of all that belongs to it."""
    uid: str = ""
    """Tells an object from another of the same name that was there before."""
    generation: Annotated[int, Field(ge=0)] = 0
    """Counts changes of the spec."""
    resource_version: str = ""
    """Changes with each write."""
    creation_timestamp: str | None = None
    """When it was made."""
    deletion_timestamp: str | None = None
    """When its deletion was asked for."""
    labels: Annotated[dict[str, str], Field(default_factory=dict)]
    """Its labels."""
    annotations: Annotated[dict[str, str], Field(default_factory=dict)]
    """Its annotations."""


class AIApi(LenientModel):
    """An async AI API, served by a fleet of pods that is right-sized on two axes: Uvicorn
    workers in a pod, and pods."""

    api_version: str = API_VERSION
    """aiapi.dev/v1alpha1."""
    kind: str = KIND
    """AIApi."""
    metadata: Metadata
    """Standard object metadata."""
    spec: AIApiSpec = AIApiSpec()
    """What the user asks for. Every field has a default."""
    status: AIApiStatus = AIApiStatus()
    """What was seen, what is needed, what was decided, and why."""

    rules: ClassVar[tuple[Rule, ...]] = (NAME_RULE,)

    @property
    def name(self) -> str:
        """Name of the AIApi, and of its Deployment and Service."""
        return self.metadata.name

    @property
    def namespace(self) -> str:
        """Namespace of the AIApi and of all that belongs to it."""
        return self.metadata.namespace
