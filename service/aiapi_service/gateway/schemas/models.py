"""The list of models, as in the OpenAI API."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class ModelCard(BaseModel):
    """One model."""

    model_config = ConfigDict(extra="allow")

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str


class ModelList(BaseModel):
    """All models."""

    object: Literal["list"] = "list"
    data: list[ModelCard]
