"""Embeddings, as in the OpenAI API."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from aiapi_service.gateway.field_types import TEXT, WHOLE, Name
from aiapi_service.gateway.schemas.chat import OpenModel, TokenUsage

MAX_INPUTS = 2048

Input = Annotated[str, StringConstraints(min_length=1, pattern=TEXT)]
Token = Annotated[int, Field(ge=0, lt=2**31), WHOLE]
TokenList = Annotated[list[Token], Field(min_length=1, max_length=65536, fail_fast=True)]


class EmbeddingsRequest(OpenModel):
    """Texts to embed. Lists of token ids are passed to the upstream."""

    model: Name
    input: (
        Input
        | Annotated[list[Input], Field(min_length=1, max_length=MAX_INPUTS, fail_fast=True)]
        | TokenList
        | Annotated[list[TokenList], Field(min_length=1, max_length=MAX_INPUTS, fail_fast=True)]
    )
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Field(ge=1, le=65536), WHOLE] | None = None
    user: Name | None = None


class Embedding(BaseModel):
    """One vector, as numbers or as base64 of little-endian 32-bit floats."""

    model_config = ConfigDict(extra="allow")

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingList(BaseModel):
    """The vectors, in the order of the texts."""

    model_config = ConfigDict(extra="allow")

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: TokenUsage
