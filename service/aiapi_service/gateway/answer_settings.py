"""Settings of /v1/answer: timeouts of its steps, and a limit per caller."""

from pydantic import BaseModel, ConfigDict, Field


class AnswerSettings(BaseModel):
    """The /v1/answer part of the gateway's settings."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    answer_burst: int = Field(default=60, ge=1)
    """Burst of answers for one caller, across all workers and pods."""
    answer_seconds: float = Field(default=1, gt=0)
    """Seconds until one more answer is allowed."""
    answer_embed_timeout: float = Field(default=10, gt=0)
    """Timeout in seconds to embed the question."""
    answer_search_timeout: float = Field(default=5, gt=0)
    """Timeout in seconds to search documents, and to read the chat."""
    answer_model_timeout: float = Field(default=120, gt=0)
    """Timeout in seconds for the complete answer of the model."""
    answer_store_timeout: float = Field(default=5, gt=0)
    """Timeout in seconds to store the answer. After that the answer is returned with a warning."""
    answer_context: int = Field(default=6000, ge=100, le=1_000_000)
    """Maximum characters of documents in the prompt, and the same again of the chat."""
