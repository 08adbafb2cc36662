"""Proxies requests for text, streamed or not, and counts their tokens."""

import json

from aiapi_service.gateway.body import JsonBody
from aiapi_service.gateway.relay import RelayResponse
from aiapi_service.gateway.services import Services
from aiapi_service.gateway.upstreams import usage
from aiapi_service.gateway.upstreams.calls import CHAT_PATH, RESPONSES_PATH, chat_call, with_usage


def relay_text(services: Services, body: JsonBody, path: str = CHAT_PATH) -> RelayResponse:
    """The response for a chat or a completion. Requests token usage for streams, and hides it from
    callers that did not request it."""
    services.upstreams.refuse_unsupported(body.data)
    body = body.with_integers()
    options = body.data.get("stream_options")
    options = options if isinstance(options, dict) else {}
    # A streamed response always ends with its usage.
    needs_usage = path != RESPONSES_PATH and bool(body.data.get("stream"))
    adds_usage = needs_usage and not options.get("include_usage")
    raw = _with_usage(body) if adds_usage else body.unambiguous()
    call = chat_call(body.data, raw, path=path, adds_usage=adds_usage)
    return RelayResponse(services, call, hide_usage=adds_usage)


def _with_usage(body: JsonBody) -> bytes:
    if "stream_options" not in body.data:
        return usage.request_usage(body.unambiguous())
    options = with_usage(body.data["stream_options"])
    return json.dumps({**body.data, "stream_options": options}).encode()
