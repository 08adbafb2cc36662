"""The AIApi resource: metadata, spec and status."""

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
    message=f"metadata.name must have at most {MAX_NAME_LENGTH} characters, contain only lower-case"
    " letters, digits and dashes, and start with a letter: the Service has the same name",
    holds=lambda aiapi: (
        len(aiapi.metadata.name) <= MAX_NAME_LENGTH
        and re.fullmatch(_NAME, aiapi.metadata.name) is not None
    ),
)


class Metadata(LenientModel):
    """The object metadata that the operator reads."""

    name: str
    """Name, unique within the namespace."""
    namespace: str = "default"
    """Namespace of the AIApi and its child objects."""
    uid: str = ""
    """Unique ID of this object; a recreated object of the same name has another."""
    generation: Annotated[int, Field(ge=0)] = 0
    """Incremented with each change of the spec."""
    resource_version: str = ""
    """Changes with each write."""
    creation_timestamp: str | None = None
    """Creation time."""
    deletion_timestamp: str | None = None
    """Time at which deletion was requested."""
    labels: Annotated[dict[str, str], Field(default_factory=dict)]
    """Labels."""
    annotations: Annotated[dict[str, str], Field(default_factory=dict)]
    """Annotations."""


class AIApi(LenientModel):
    """An async AI API served by a fleet of pods. The operator right-sizes the fleet on two
    axes: Uvicorn workers per pod, and pods."""

    api_version: str = API_VERSION
    """API version, always aiapi.dev/v1alpha1."""
    kind: str = KIND
    """Kind of the object, always AIApi."""
    metadata: Metadata
    """Standard object metadata."""
    spec: AIApiSpec = AIApiSpec()
    """Desired behavior of the AIApi. All fields are optional."""
    status: AIApiStatus = AIApiStatus()
    """Observed load, current need, last decision and conditions. Written by the operator."""

    rules: ClassVar[tuple[Rule, ...]] = (NAME_RULE,)

    @property
    def name(self) -> str:
        """Name of the AIApi and of its Deployment and Service."""
        return self.metadata.name

    @property
    def namespace(self) -> str:
        """Namespace of the AIApi and its child objects."""
        return self.metadata.namespace
