"""Chat completions, proxied to the upstreams."""

import json
from typing import Annotated

from fastapi import APIRouter, Request, Response

from aiapi_service.auth import Principal, require
from aiapi_service.gateway.body import JsonBody, read_json_object, validate
from aiapi_service.gateway.direct_route import DirectRoute
from aiapi_service.gateway.openapi import json_body
from aiapi_service.gateway.problems import responses
from aiapi_service.gateway.relay import RelayResponse
from aiapi_service.gateway.schemas import examples
from aiapi_service.gateway.schemas.chat import ChatCompletion, ChatRequest
from aiapi_service.gateway.services import services_of
from aiapi_service.gateway.upstreams import usage
from aiapi_service.gateway.upstreams.client import chat_call

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
    services = services_of(request)
    settings = services.settings
    body = await read_json_object(request, settings)
    validate(body, ChatRequest)
    raw, hide_usage = _with_usage(body)
    return RelayResponse(
        services.upstreams, chat_call(body.data, raw, services.upstreams), hide_usage=hide_usage
    )


def _with_usage(body: JsonBody) -> tuple[bytes, bool]:
    """Request token usage for streams, and hide it from callers that did not request it."""
    if not body.data.get("stream"):
        return body.unambiguous(), False
    if "stream_options" not in body.data:
        return usage.request_usage(body.unambiguous()), True
    options = body.data["stream_options"] or {}
    if options.get("include_usage"):
        return body.unambiguous(), False
    options = {**options, "include_usage": True}
    return json.dumps({**body.data, "stream_options": options}).encode(), True
