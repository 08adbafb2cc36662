"""Request and response models of questions, answers and chats."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from aiapi_service.gateway.documents.schemas import Metadata, Query
from aiapi_service.gateway.field_types import WHOLE, Name, StrictModel


class AnswerRequest(StrictModel):
    """A question."""

    question: Query
    chat_id: Annotated[UUID, Field(strict=False)] | None = None
    """The chat to continue. Starts a new chat by default."""
    documents: Annotated[int, Field(ge=0, le=20), WHOLE] = 4
    """Number of documents for the prompt. The local model gets the nearest one only."""
    filter: Metadata = Field(default_factory=dict)
    """Only documents whose metadata contains all of this."""
    model: Name | None = None
    max_tokens: Annotated[int, Field(ge=1, le=8192), WHOLE] | None = None
    """Maximum tokens of the answer. Default 512; 96 for the local model."""
    timings: bool = False
    """Include the timings of the steps, like `?timings=true`."""


class Source(BaseModel):
    """A document in the prompt."""

    id: str
    score: float


class StepTime(BaseModel):
    """Start of a step in seconds after the request, and its duration."""

    began: float
    seconds: float


class Answer(BaseModel):
    """An answer. ``stored`` is false when the answer could not be stored."""

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
    """A question in a chat and its answer."""

    id: UUID
    question: str
    answer: str
    model: str
    sources: list[Source]
    created: datetime


class Chat(BaseModel):
    """A chat with its latest turns, oldest first."""

    id: UUID
    object: Literal["chat"] = "chat"
    created: datetime
    turns: list[Turn]


EXAMPLE = {
    "question": {"summary": "A question", "value": {"question": "When do you open?"}},
    "followup": {
        "summary": "A follow-up question, with timings",
        "value": {
            "question": "And on Sundays?",
            "chat_id": "5f0c2b0e-6b4c-4f6e-9d1c-3a1f7a1b2c3d",
            "timings": True,
        },
    },
}
