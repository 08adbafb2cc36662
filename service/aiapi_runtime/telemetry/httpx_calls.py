"""Counts the time an app waits for upstreams that it calls with httpx, without changes to the app.

Wraps the public `handle_async_request` of httpx's transports: from sending the request to the end
of the response's stream. The call also carries the caller's trace context.
"""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiapi_runtime.telemetry.requests import UpstreamCall
from aiapi_runtime.telemetry.tracing import inject

_TRANSPORTS = (("httpx", "AsyncHTTPTransport"), ("httpx_aiohttp", "AiohttpTransport"))


class _Stream:
    """A response's stream that ends the call when it has been read or closed."""

    def __init__(self, stream: Any, call: UpstreamCall) -> None:
        self._stream = stream
        self._call = call

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._stream:
                yield chunk
        finally:
            self._call.end()

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            self._call.end()


def track() -> None:
    """Wrap the transports of the libraries that the app has imported, each once."""
    for module, name in _TRANSPORTS:
        transport = getattr(sys.modules.get(module), name, None)
        if transport is not None and not hasattr(transport.handle_async_request, "__wrapped__"):
            transport.handle_async_request = _counted(transport.handle_async_request)


def _counted(handle: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    import httpx  # noqa: PLC0415 - present, since there is a transport

    class Stream(_Stream, httpx.AsyncByteStream):
        """httpx checks the type of a stream."""

    async def handle_async_request(self: Any, request: Any) -> Any:
        call = UpstreamCall()
        if "traceparent" not in request.headers:
            inject(request.headers)
        try:
            response = await handle(self, request)
        except BaseException:
            call.end()
            raise
        response.stream = Stream(response.stream, call)
        return response

    handle_async_request.__wrapped__ = handle  # type: ignore[attr-defined]
    return handle_async_request
