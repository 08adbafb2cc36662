"""Completions of a prompt, as in the older OpenAI API."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from aiapi_service.gateway.field_types import Name, Text
from aiapi_service.gateway.schemas.chat import ChatParameters, StreamOptions, TokenUsage
from aiapi_service.gateway.schemas.embeddings import MAX_INPUTS, TokenList


class CompletionRequest(ChatParameters):
    """A text, several texts, or token ids to complete."""

    model: Name
    prompt: (
        Text
        | Annotated[list[Text], Field(min_length=1, max_length=MAX_INPUTS, fail_fast=True)]
        | TokenList
        | Annotated[list[TokenList], Field(min_length=1, max_length=MAX_INPUTS, fail_fast=True)]
    )
    stream: bool | None = None
    stream_options: StreamOptions | None = None


class Completion(BaseModel):
    """A completion. Unknown fields of the upstream pass through."""

    model_config = ConfigDict(extra="allow")

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[dict[str, Any]]
    usage: TokenUsage | None = None
