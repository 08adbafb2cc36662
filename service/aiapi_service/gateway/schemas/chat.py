"""Chat completions: validates the fields that all upstreams share."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from aiapi_service.gateway.field_types import MAX_FIELDS, TEXT, WHOLE, Name, Text, few_fields

MAX_MESSAGES = 4096
MAX_PARTS = 256

Tokens = Annotated[int, Field(ge=1, le=10_000_000), WHOLE]
Stop = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=TEXT)]


class OpenModel(BaseModel):
    """Validates known fields and passes unknown fields to the upstream."""

    model_config = ConfigDict(
        extra="allow", strict=True, json_schema_extra={"maxProperties": MAX_FIELDS}
    )

    @model_validator(mode="before")
    @classmethod
    def _few_fields(cls, value: Any) -> Any:
        return few_fields(value)


class Part(OpenModel):
    """A part of a message: text, an image or audio."""

    type: Name
    text: Text | None = None


class Message(OpenModel):
    """One turn of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Text | Annotated[list[Part], Field(max_length=MAX_PARTS, fail_fast=True)] | None = None
    name: Name | None = None


Messages = Annotated[list[Message], Field(min_length=1, max_length=MAX_MESSAGES, fail_fast=True)]


class StreamOptions(OpenModel):
    """Options for streaming."""

    include_usage: bool | None = None


class ChatParameters(OpenModel):
    """Parameters of a completion."""

    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    n: Annotated[int, Field(ge=1, le=16), WHOLE] | None = None
    stop: Stop | Annotated[list[Stop], Field(max_length=16, fail_fast=True)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63), WHOLE] | None = None
    user: Name | None = None


class ChatRequest(ChatParameters):
    """A chat completion request, as in the OpenAI API."""

    model: Name
    messages: Messages
    stream: bool | None = None
    stream_options: StreamOptions | None = None


class TokenUsage(BaseModel):
    """Token usage."""

    model_config = ConfigDict(extra="allow")

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0


class ChatCompletion(BaseModel):
    """A chat completion. Unknown fields of the upstream pass through."""

    model_config = ConfigDict(extra="allow")

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[dict[str, Any]]
    usage: TokenUsage | None = None
