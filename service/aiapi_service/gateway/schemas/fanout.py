"""Many completions in one request."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from aiapi_service.gateway.field_types import TEXT, Name, StrictModel
from aiapi_service.gateway.problems import Problem
from aiapi_service.gateway.schemas.chat import ChatCompletion, ChatParameters, Messages, TokenUsage

MAX_ITEMS = 64

Prompt = Annotated[str, StringConstraints(min_length=1, pattern=TEXT)] | Messages


class FanoutRequest(StrictModel):
    """One prompt to several models, or several prompts to one model."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {
                    "required": ["model", "prompts"],
                    "properties": {"models": False, "prompt": False},
                },
                {
                    "required": ["models", "prompt"],
                    "properties": {"model": False, "prompts": False},
                },
            ]
        },
    )

    model: Name = Field(default="", description="Use with `prompts`.")
    prompts: Annotated[list[Prompt], Field(min_length=1, max_length=MAX_ITEMS, fail_fast=True)] = (
        Field(default_factory=list)
    )
    models: Annotated[list[Name], Field(min_length=1, max_length=MAX_ITEMS, fail_fast=True)] = (
        Field(default_factory=list, description="Use with `prompt`.")
    )
    prompt: Prompt = ""
    parameters: ChatParameters = Field(
        default=ChatParameters(),
        description="Further fields of each chat completion, such as `max_tokens`.",
    )
    timeout: Annotated[float, Field(gt=0, le=3600)] | None = Field(
        default=None, description="Timeout of one item in seconds, up to AIAPI_FANOUT_TIMEOUT."
    )

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        given = self.model_fields_set & {"model", "models", "prompt", "prompts"}
        if given not in ({"model", "prompts"}, {"models", "prompt"}):
            raise ValueError("set either model and prompts, or models and prompt")
        return self

    def items(self) -> list[dict[str, Any]]:
        """The requested chat completions."""
        parameters = self.parameters.model_dump(exclude_unset=True)
        pairs = (
            [(self.model, prompt) for prompt in self.prompts]
            if self.model
            else [(model, self.prompt) for model in self.models]
        )
        return [
            {**parameters, "model": model, "messages": _messages(prompt)} for model, prompt in pairs
        ]


def _messages(prompt: Any) -> list[dict[str, Any]]:
    if isinstance(prompt, str):
        return [{"role": "user", "content": prompt}]
    return [message.model_dump(exclude_unset=True) for message in prompt]


class FanoutItem(BaseModel):
    """The result of one item: a completion or a problem."""

    index: int
    model: str
    seconds: float
    completion: ChatCompletion | None = None
    problem: Problem | None = None


class FanoutResponse(BaseModel):
    """The results, in the order of the request."""

    object: Literal["fanout"]
    succeeded: int
    failed: int
    seconds: float
    usage: TokenUsage
    results: list[FanoutItem]
