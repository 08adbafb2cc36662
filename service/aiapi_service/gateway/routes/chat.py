"""Chat completions, proxied to the upstreams."""

from typing import Annotated

from fastapi import APIRouter, Request, Response

from aiapi_service.auth import Principal, require
from aiapi_service.gateway.body import read_json_object, validate
from aiapi_service.gateway.direct_route import DirectRoute
from aiapi_service.gateway.openapi import json_body
from aiapi_service.gateway.problems import responses
from aiapi_service.gateway.routes.relay_text import relay_text
from aiapi_service.gateway.schemas import examples
from aiapi_service.gateway.schemas.chat import ChatCompletion, ChatRequest
from aiapi_service.gateway.services import services_of

router = APIRouter(tags=["chat"], route_class=DirectRoute)

_STREAMED = {
    "content": {
        "application/json": {"example": examples.CHAT_ANSWER},
        "text/event-stream": {"example": examples.CHAT_EVENTS},
    },
}


@router.post(
    "/v1/chat/completions",
    summary="Complete a chat",
    response_model=ChatCompletion,
    responses={
        200: _STREAMED,
        **responses(400, 401, 403, 404, 408, 413, 415, 422, 429, 502, 503, 504),
    },
    openapi_extra=json_body(ChatRequest, examples.CHAT),
)
async def chat_completions(
    request: Request, _principal: Annotated[Principal, require("chat")]
) -> Response:
    """Create a chat completion, as in the OpenAI API, streamed with `stream: true`.

    Unknown fields are passed to the upstream. When the client disconnects, the upstream call is
    cancelled.
    """
    body = await read_json_object(request, services_of(request).settings)
    validate(body, ChatRequest)
    return relay_text(services_of(request), body)
