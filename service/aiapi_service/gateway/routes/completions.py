"""Completions of a prompt, proxied to the upstreams."""

from typing import Annotated

from fastapi import APIRouter, Request, Response

from aiapi_service.auth import Principal, require
from aiapi_service.gateway.body import read_json_object, validate
from aiapi_service.gateway.direct_route import DirectRoute
from aiapi_service.gateway.openapi import json_body
from aiapi_service.gateway.problems import responses
from aiapi_service.gateway.routes.relay_text import relay_text
from aiapi_service.gateway.schemas import examples
from aiapi_service.gateway.schemas.completions import Completion, CompletionRequest
from aiapi_service.gateway.services import services_of
from aiapi_service.gateway.upstreams.calls import COMPLETIONS_PATH

router = APIRouter(tags=["chat"], route_class=DirectRoute)

_STREAMED = {
    "content": {
        "application/json": {"example": examples.COMPLETIONS_ANSWER},
        "text/event-stream": {"example": examples.COMPLETIONS_EVENTS},
    },
}


@router.post(
    "/v1/completions",
    summary="Complete a prompt",
    response_model=Completion,
    responses={
        200: _STREAMED,
        **responses(400, 401, 403, 404, 408, 413, 415, 422, 429, 502, 503, 504),
    },
    openapi_extra=json_body(CompletionRequest, examples.COMPLETIONS),
)
async def complete_prompt(
    request: Request, _principal: Annotated[Principal, require("chat")]
) -> Response:
    """Create a completion of a prompt, as in the OpenAI API, streamed with `stream: true`."""
    services = services_of(request)
    body = await read_json_object(request, services.settings)
    validate(body, CompletionRequest)
    return relay_text(services, body, COMPLETIONS_PATH)
