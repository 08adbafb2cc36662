"""A response that proxies a call to an upstream.

When the client disconnects, the upstream call is cancelled, since unread tokens cost money.
"""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress

from fastapi import Response
from starlette.types import Receive, Scope, Send

from aiapi_service.auth.token_limit import count_tokens
from aiapi_service.gateway.disconnect import CallerDisconnectedError, cancel_on_disconnect
from aiapi_service.gateway.keep_alive import KeptAliveStream
from aiapi_service.gateway.problems import ProblemError
from aiapi_service.gateway.services import Services
from aiapi_service.gateway.upstreams.calls import Call
from aiapi_service.gateway.upstreams.client import parse_object
from aiapi_service.gateway.upstreams.metering import ModelMeter
from aiapi_service.gateway.upstreams.response import UpstreamResponse
from aiapi_service.gateway.upstreams.usage import TokenCounts, find_usage, usage_of
from aiapi_service.gateway.upstreams.usage_filter import UsageFilter

_JSON = [(b"content-type", b"application/json")]
_STREAM = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


_KEPT = (b"content-type", b"content-disposition")
# A usual estimate for English text.
_BYTES_PER_TOKEN = 4


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
        await _send_whole(send, _JSON, body)
        self._count(answer, meter, self._usage(body), len(body) // _BYTES_PER_TOKEN)

    def _usage(self, body: bytes) -> TokenCounts | None:
        """Parse a text, in which a caller's metadata may look like a usage. Lists of embeddings
        are long and contain nothing of the caller."""
        if self._call.kind == "embeddings":
            return find_usage(body)
        try:
            return usage_of(parse_object(body, ""))
        except ProblemError:
            return None

    def _count(
        self, answer: UpstreamResponse, meter: ModelMeter, tokens: TokenCounts | None, out: int
    ) -> None:
        meter.done(answer.target.name, tokens)
        if tokens is None:
            self._estimate(out)

    def _estimate(self, out: int) -> None:
        """Count tokens that the upstream did not report: missing is not zero."""
        count_tokens(len(self._call.body) // _BYTES_PER_TOKEN + out)

    async def _stream(self, answer: UpstreamResponse, meter: ModelMeter, send: Send) -> None:
        """Proxy a stream. The status is already sent, so errors become events.

        OpenAI clients raise such an event as an error.
        """
        events = UsageFilter(hide_usage=self._hide_usage)
        last = b""
        is_counted = False
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
            if events.is_complete or self._call.is_unknown:
                last = rest
                self._count(answer, meter, events.tokens, events.events)
                is_counted = True
            else:
                # Without the rest: a partial event would make the error event unreadable.
                last = _event(answer.truncated().body())
        except TimeoutError:
            last = _event(answer.timed_out().body())
        except ProblemError as problem:
            last = _event(problem.body())
        finally:
            if not is_counted:
                self._estimate(events.events)
            await answer.close()
        await send({"type": "http.response.body", "body": last})


class PassThroughResponse(RelayResponse):
    """Proxies a response of any type."""

    async def _proxy(self, send: Send) -> None:
        meter = self._upstreams.meter(self._call.model)
        answer = await self._upstreams.open(self._call)
        if answer.is_stream:
            await self._stream(answer, meter, send)
            return
        body = await answer.read_any()
        kept = [
            (name, value.encode("latin-1")) for name in _KEPT if (value := answer.head.header(name))
        ]
        await _send_whole(send, kept, body, answer.head.status)
        tokens = self._usage(body)
        if self._call.model or tokens:
            self._count(answer, meter, tokens, len(body) // _BYTES_PER_TOKEN)


async def _send_whole(
    send: Send, headers: list[tuple[bytes, bytes]], body: bytes, status: int = 200
) -> None:
    head = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})


def _event(problem: Mapping[str, object]) -> bytes:
    return b"data: " + json.dumps(problem).encode() + b"\n\n"
