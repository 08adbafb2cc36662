"""The connections of a worker to its upstreams: one aiohttp pool.

A call through httpx's transport takes several times the loop time of aiohttp, and httpx's request
and response objects around aiohttp double its cost. So this uses aiohttp directly, and raises
httpx errors like the rest of the gateway. Calls carry the request id and the trace context.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDict

from aiapi_runtime.telemetry import request_id
from aiapi_runtime.telemetry.requests import UpstreamCall
from aiapi_runtime.telemetry.tracing import inject
from aiapi_service.gateway.upstreams.settings import UpstreamSettings
from aiapi_service.gateway.upstreams.wire import ResponseHead, UpstreamEndpoint

_CHUNK_BYTES = 16 * 1024
# An upstream that closes an idle connection does so within a round trip. One that closes it later
# may have processed the request.
_STALE_SECONDS = 1.0
_MAX_STALE_CONNECTIONS = 3

# Most specific first: the first match is used.
_ERRORS: tuple[tuple[type[Exception], type[httpx.TransportError]], ...] = (
    (aiohttp.ConnectionTimeoutError, httpx.ConnectTimeout),
    (TimeoutError, httpx.ReadTimeout),
    (aiohttp.ClientConnectorError, httpx.ConnectError),
    (aiohttp.ClientConnectionError, httpx.ReadError),
    (aiohttp.ClientPayloadError, httpx.ReadError),
    (aiohttp.ClientError, httpx.RemoteProtocolError),
    (HttpProcessingError, httpx.RemoteProtocolError),
)


@contextmanager
def _as_httpx_errors() -> Iterator[None]:
    try:
        yield
    except (aiohttp.ClientError, HttpProcessingError, TimeoutError) as error:
        found = next(theirs for ours, theirs in _ERRORS if isinstance(error, ours))
        raise found(str(error)) from error


def _trace_reuse() -> aiohttp.TraceConfig:
    """Tells a request that its connection was used before."""

    async def note(_session: object, context: SimpleNamespace, _params: object) -> None:
        context.trace_request_ctx.append(True)

    config = aiohttp.TraceConfig()
    config.on_connection_reuseconn.append(note)
    return config


def _is_silent(error: aiohttp.ClientError) -> bool:
    """Whether the connection was closed before any byte of a response."""
    if isinstance(error, aiohttp.ServerDisconnectedError):
        # Otherwise the message is the part of a response that was received.
        return isinstance(error.message, str)
    return True


class UpstreamTransport:
    """Connects directly, or through the proxies in the environment."""

    def __init__(self, settings: UpstreamSettings) -> None:
        self._limit = settings.upstream_connections
        self._idle_timeout = settings.upstream_idle_timeout
        self._session: aiohttp.ClientSession | None = None
        # Cached per host: the lookup of proxies reads the whole environment.
        self._proxies: dict[tuple[str, str], str | None] = {}
        self._timeouts = aiohttp.ClientTimeout(
            connect=settings.upstream_pool_timeout,
            sock_connect=settings.upstream_connect_timeout,
            sock_read=settings.upstream_read_timeout,
        )
        self._longest = max(
            settings.upstream_pool_timeout,
            settings.upstream_connect_timeout,
            settings.upstream_read_timeout,
        )

    async def send(self, to: UpstreamEndpoint, body: bytes, left: float) -> ResponseHead:
        """Send a request and receive the head of the response within `left` seconds."""
        headers = to.headers
        known: dict[str, str] = {}
        inject(known)
        if request := request_id():
            known["X-Request-ID"] = request
        if known:
            headers = headers.copy()
            headers.update(known)
        call = UpstreamCall()
        try:
            with _as_httpx_errors():
                response = await self._request(to, headers, body, left)
        except BaseException:
            call.end()
            raise
        return ResponseHead(response.status, response.raw_headers, _Body(response, call))

    async def _request(
        self, to: UpstreamEndpoint, headers: CIMultiDict[str], body: bytes, left: float
    ) -> aiohttp.ClientResponse:
        """Send a request, again where a kept connection was just closed by the upstream."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + left
        for attempt in range(_MAX_STALE_CONNECTIONS + 1):
            began = loop.time()
            reused: list[bool] = []
            try:
                return await self._pool().request(
                    to.method,
                    to.url,
                    headers=headers,
                    data=body or None,
                    allow_redirects=False,
                    timeout=self._within(deadline - began),
                    proxy=self._proxy(to.origin),
                    trace_request_ctx=reused,
                )
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                was_idle = bool(reused) and loop.time() - began < _STALE_SECONDS
                if attempt == _MAX_STALE_CONNECTIONS or not (was_idle and _is_silent(error)):
                    raise
        raise AssertionError  # the last attempt returns or raises

    def _within(self, left: float) -> aiohttp.ClientTimeout:
        if left >= self._longest:
            return self._timeouts
        bound = max(left, 0.001)
        given = (self._timeouts.connect, self._timeouts.sock_connect, self._timeouts.sock_read)
        connect, sock_connect, sock_read = (min(seconds or bound, bound) for seconds in given)
        return aiohttp.ClientTimeout(
            connect=connect, sock_connect=sock_connect, sock_read=sock_read
        )

    def _proxy(self, origin: tuple[str, str]) -> str | None:
        if origin not in self._proxies:
            scheme, host = origin
            self._proxies[origin] = None if proxy_bypass(host) else getproxies().get(scheme)
        return self._proxies[origin]

    def _pool(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=self._limit, keepalive_timeout=self._idle_timeout
            )
            # No cookies: one caller's response must not affect another's call.
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("User-Agent", "Accept", "Content-Type"),
                trace_configs=[_trace_reuse()],
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


class _Body:
    """A response body. Closing it before its end closes the connection."""

    def __init__(self, response: aiohttp.ClientResponse, call: UpstreamCall) -> None:
        self._response = response
        self._call = call

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx_errors():
            async for piece in self._response.content.iter_chunked(_CHUNK_BYTES):
                yield piece

    async def aclose(self) -> None:
        self._call.end()
        self._response.release()
