"""A response that proxies a call to an upstream.

When the client disconnects, the upstream call is cancelled, since unread tokens cost money.
"""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress

from fastapi import Response
from starlette.types import Receive, Scope, Send

from aiapi_service.gateway.disconnect import CallerDisconnectedError, cancel_on_disconnect
from aiapi_service.gateway.keep_alive import KeptAliveStream
from aiapi_service.gateway.problems import ProblemError
from aiapi_service.gateway.services import Services
from aiapi_service.gateway.upstreams.calls import Call
from aiapi_service.gateway.upstreams.metering import ModelMeter
from aiapi_service.gateway.upstreams.response import UpstreamResponse
from aiapi_service.gateway.upstreams.usage import find_usage
from aiapi_service.gateway.upstreams.usage_filter import UsageFilter

_JSON = [(b"content-type", b"application/json")]
_STREAM = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


class RelayResponse(Response):
    """Returned by a route. The call runs when the response is sent."""

    def __init__(self, services: Services, call: Call, *, hide_usage: bool = False) -> None:
        self.background = None
        self.status_code = 200
        self._upstreams = services.upstreams
        self._keepalive = services.settings.stream_keepalive
        self._call = call
        self._hide_usage = hide_usage

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        with suppress(CallerDisconnectedError):
            async with cancel_on_disconnect(receive):
                await self._proxy(send)

    async def _proxy(self, send: Send) -> None:
        meter = self._upstreams.meter(self._call.model)
        if self._call.repeatable:
            answer, body = await self._upstreams.fetch(self._call)
        else:
            answer = await self._upstreams.open(self._call)
            if answer.is_stream:
                await self._stream(answer, meter, send)
                return
            body = await answer.read()
        head = [*_JSON, (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": body})
        meter.done(answer.target.name, find_usage(body))

    async def _stream(self, answer: UpstreamResponse, meter: ModelMeter, send: Send) -> None:
        """Proxy a stream. The status is already sent, so errors become events.

        OpenAI clients raise such an event as an error.
        """
        events = UsageFilter(hide_usage=self._hide_usage)
        last = b""
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _STREAM})
            async with (
                KeptAliveStream(send, self._keepalive) as stream,
                asyncio.timeout_at(answer.deadline),
            ):
                async for piece in answer.pieces():
                    meter.first_byte()
                    if body := events.feed(piece):
                        await stream.send(body)
            rest = events.flush()
            if events.is_complete:
                last = rest
                meter.done(answer.target.name, events.tokens)
            else:
                # Without the rest: a partial event would make the error event unreadable.
                last = _event(answer.truncated().body())
        except TimeoutError:
            last = _event(answer.timed_out().body())
        except ProblemError as problem:
            last = _event(problem.body())
        finally:
            await answer.close()
        await send({"type": "http.response.body", "body": last})


def _event(problem: Mapping[str, object]) -> bytes:
    return b"data: " + json.dumps(problem).encode() + b"\n\n"
