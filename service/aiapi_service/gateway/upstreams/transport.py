"""The connections of a worker to its upstreams: one aiohttp pool.

A call through httpx's transport takes several times the loop time of aiohttp, and httpx's request
and response objects around aiohttp double its cost. So this uses aiohttp directly, and raises
httpx errors like the rest of the gateway. Calls carry the request id and the trace context.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx
from aiohttp.http_exceptions import HttpProcessingError

from aiapi_runtime.telemetry import request_id
from aiapi_runtime.telemetry.requests import UpstreamCall
from aiapi_runtime.telemetry.tracing import inject
from aiapi_service.gateway.upstreams.settings import UpstreamSettings
from aiapi_service.gateway.upstreams.wire import ResponseHead, UpstreamEndpoint

_IDLE_SECONDS = 15.0
_CHUNK_BYTES = 16 * 1024

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


class UpstreamTransport:
    """Connects directly, or through the proxies in the environment."""

    def __init__(self, settings: UpstreamSettings) -> None:
        self._limit = settings.upstream_connections
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
                response = await self._pool().request(
                    to.method,
                    to.url,
                    headers=headers,
                    data=body or None,
                    allow_redirects=False,
                    timeout=self._within(left),
                    proxy=self._proxy(to.origin),
                )
        except BaseException:
            call.end()
            raise
        return ResponseHead(response.status, response.raw_headers, _Body(response, call))

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
            connector = aiohttp.TCPConnector(limit=self._limit, keepalive_timeout=_IDLE_SECONDS)
            # No cookies: one caller's response must not affect another's call.
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("User-Agent", "Accept", "Content-Type"),
                auto_decompress=False,
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
