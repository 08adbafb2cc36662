"""Questions and answers as callers send and get them."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from aiapi_service.gateway.documents.schemas import Metadata, Query
from aiapi_service.gateway.field_types import Name


class AnswerRequest(BaseModel):
    """A question."""

    model_config = ConfigDict(extra="forbid", strict=True)

    question: Query
    chat_id: Annotated[UUID, Field(strict=False)] | None = None
    """A chat to go on with; without one a new chat begins."""
    documents: Annotated[int, Field(ge=0, le=20)] = 4
    """How many documents to look for; the local model is given the nearest alone."""
    filter: Metadata = {}
    """Only documents whose metadata contain all of this."""
    model: Name | None = None
    max_tokens: Annotated[int, Field(ge=1, le=8192)] | None = None
    """Of the answer; 512 when not given, for the local model 96."""
    timings: bool = False
    """Give the times of the steps, as `?timings=true` does."""


class Source(BaseModel):
    """A document that the model was given."""

    id: str
    score: float


class StepTime(BaseModel):
    """When a step began, in seconds after the request came, and how long it took."""

    began: float
    seconds: float


class Answer(BaseModel):
    """An answer. ``stored`` is false when the model answered but the chat could not be kept."""

    id: UUID
    object: Literal["answer"] = "answer"
    chat_id: UUID
    answer: str
    model: str
    sources: list[Source]
    usage: dict[str, Any]
    stored: bool
    warning: str | None = None
    timings: dict[str, StepTime] | None = None


class Turn(BaseModel):
    """A question of a chat with its answer."""

    id: UUID
    question: str
    answer: str
    model: str
    sources: list[Source]
    created: datetime


class Chat(BaseModel):
    """A chat with its latest turns, the oldest of them first."""

    id: UUID
    object: Literal["chat"] = "chat"
    created: datetime
    turns: list[Turn]


EXAMPLE = {
    "question": {"summary": "A question", "value": {"question": "When do you open?"}},
    "followup": {
        "summary": "The next one of a chat, with its timings",
        "value": {
            "question": "And on Sundays?",
            "chat_id": "5f0c2b0e-6b4c-4f6e-9d1c-3a1f7a1b2c3d",
            "timings": True,
        },
    },
}
