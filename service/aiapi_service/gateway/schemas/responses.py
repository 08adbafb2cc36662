"""Responses, as in the newer OpenAI API: validates what the gateway itself uses."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from aiapi_service.gateway.field_types import WHOLE, Name, Text
from aiapi_service.gateway.schemas.chat import MAX_MESSAGES, OpenModel, Tokens


class InputItem(OpenModel):
    """A message, a call of a tool, its output, or another item."""


class ResponseRequest(OpenModel):
    """A request for a response."""

    model: Name
    input: (
        Text
        | Annotated[list[InputItem], Field(min_length=1, max_length=MAX_MESSAGES, fail_fast=True)]
        | None
    ) = None
    instructions: Text | None = None
    stream: bool | None = None
    max_output_tokens: Tokens | None = None
    max_tool_calls: Annotated[int, Field(ge=1, le=100_000), WHOLE] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    background: Literal[False] | None = None
    """Not supported: its tokens could not be counted."""


class ModelResponse(BaseModel):
    """A response. Unknown fields of the upstream pass through."""

    model_config = ConfigDict(extra="allow")

    id: str
    object: Literal["response"]
    output: list[dict[str, Any]]
