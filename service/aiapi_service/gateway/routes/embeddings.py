"""Embeddings from the upstreams or the local model."""

from typing import Annotated

from fastapi import APIRouter, Request, Response

from aiapi_service.auth import Principal, require
from aiapi_service.gateway.body import read_json_object, validate
from aiapi_service.gateway.direct_route import DirectRoute
from aiapi_service.gateway.embedder import to_openai_json
from aiapi_service.gateway.local.embedder import DIMENSIONS, NAME
from aiapi_service.gateway.openapi import json_body
from aiapi_service.gateway.problems import FieldError, ProblemError, responses
from aiapi_service.gateway.relay import RelayResponse
from aiapi_service.gateway.schemas import examples
from aiapi_service.gateway.schemas.embeddings import EmbeddingList, EmbeddingsRequest
from aiapi_service.gateway.services import Services, services_of
from aiapi_service.gateway.upstreams.calls import embeddings_call

router = APIRouter(tags=["embeddings"], route_class=DirectRoute)


@router.post(
    "/v1/embeddings",
    summary="Embed texts",
    response_model=EmbeddingList,
    responses={
        200: {"content": {"application/json": {"example": examples.EMBEDDINGS_ANSWER}}},
        **responses(400, 401, 403, 404, 408, 413, 415, 422, 429, 502, 503, 504),
    },
    openapi_extra=json_body(EmbeddingsRequest, examples.EMBEDDINGS),
)
async def embeddings(
    request: Request, _principal: Annotated[Principal, require("embeddings")]
) -> Response:
    """Create embeddings, as in the OpenAI API."""
    services = services_of(request)
    settings = services.settings
    body = await read_json_object(request, settings)
    parsed = validate(body, EmbeddingsRequest)
    if services.embedder.is_local(parsed.model):
        return await _embed_locally(services, parsed)
    services.embedder.refuse_unknown(parsed.model)
    body = body.with_integers()
    call = embeddings_call(body.data, body.unambiguous())
    return RelayResponse(services, call)


async def _embed_locally(services: Services, parsed: EmbeddingsRequest) -> Response:
    texts = [parsed.input] if isinstance(parsed.input, str) else list(parsed.input)
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise _invalid_field(
                f"input[{index}]", f"must be text: {NAME} does not accept token ids"
            )
    if parsed.dimensions not in (None, DIMENSIONS):
        raise _invalid_field("dimensions", f"must be {DIMENSIONS} for {NAME}")
    found = await services.embedder.embed_locally([text for text in texts if isinstance(text, str)])
    body = await to_openai_json(found, base64_format=parsed.encoding_format == "base64")
    return Response(body, media_type="application/json")


def _invalid_field(field: str, message: str) -> ProblemError:
    return ProblemError(
        422,
        "invalid-request",
        "The request is not valid",
        f"{field} {message}",
        errors=[FieldError(field, message)],
    )
