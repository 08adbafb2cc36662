"""The list of models."""

from typing import Annotated, Any

from fastapi import APIRouter, Path

from aiapi_service.auth import Principal, require
from aiapi_service.gateway.field_types import NAME
from aiapi_service.gateway.local import embedder
from aiapi_service.gateway.problems import ProblemError, responses
from aiapi_service.gateway.schemas import examples
from aiapi_service.gateway.schemas.models import ModelCard, ModelList
from aiapi_service.gateway.services import Services, ServicesDep

router = APIRouter(tags=["models"])


async def _cards(services: Services) -> list[dict[str, Any]]:
    local: list[dict[str, Any]] = []
    if services.embedder.is_local(embedder.NAME):
        local = [{"id": embedder.NAME, "object": "model", "created": 0, "owned_by": "local"}]
        if not services.upstreams.targets:
            return local
    return [*await services.upstreams.cards(), *local]


@router.get(
    "/v1/models",
    summary="List models",
    response_model=ModelList,
    responses={
        200: {"content": {"application/json": {"example": examples.MODELS_ANSWER}}},
        **responses(401, 403, 429, 502, 503, 504),
    },
)
async def models(
    services: ServicesDep, _principal: Annotated[Principal, require("models:read")]
) -> dict[str, Any]:
    """Models from the settings, and models that other upstreams list (cached for a minute)."""
    return {"object": "list", "data": await _cards(services)}


@router.get(
    "/v1/models/{model:path}",
    summary="Get a model",
    response_model=ModelCard,
    responses={
        200: {"content": {"application/json": {"example": examples.MODELS_ANSWER["data"][0]}}},
        **responses(401, 403, 404, 422, 429, 502, 503, 504),
    },
)
async def model(
    model: Annotated[
        str, Path(min_length=1, max_length=256, pattern=NAME, examples=["smollm2-135m"])
    ],
    services: ServicesDep,
    _principal: Annotated[Principal, require("models:read")],
) -> dict[str, Any]:
    """Get a model of the list. A name may contain slashes."""
    for card in await _cards(services):
        if card["id"] == model:
            return card
    detail = f"Model {model!r} does not exist. GET /v1/models lists the available models."
    raise ProblemError(404, "model-not-found", "No such model", detail)
