"""How long each step of an answer may take, and how many answers one caller may have."""

from pydantic import BaseModel, ConfigDict, Field


class AnswerSettings(BaseModel):
    """A part of the gateway's settings."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    answer_burst: int = Field(default=60, ge=1)
    """Answers that one caller may ask for at once, over all workers and pods."""
    answer_seconds: float = Field(default=1, gt=0)
    """One more is allowed each so many seconds."""
    answer_embed_timeout: float = Field(default=10, gt=0)
    """Seconds to embed the question."""
    answer_search_timeout: float = Field(default=5, gt=0)
    """Seconds to find documents, and to read the chat so far."""
    answer_model_timeout: float = Field(default=120, gt=0)
    """Seconds for the model's whole answer."""
    answer_store_timeout: float = Field(default=5, gt=0)
    """Seconds to store the answer; then it is given without having been stored, and says so."""
    answer_context: int = Field(default=6000, ge=100, le=1_000_000)
    """Characters of documents that the model is given; as many again of the chat so far."""
